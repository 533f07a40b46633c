import { posix } from 'node:path';
import { invalidArgument } from '@longshore/errors';

/**
 * Where an image is and which one: `<host>/<path>[:tag][@digest]`. Nothing is filled in: `busybox` alone is a
 * host. Source: containerd pkg/reference/reference.go.
 */
export interface Reference {
  /** `<host>/<path>`. */
  readonly locator: string;
  /** With its port. */
  readonly host: string;
  /** The path below the host: the repository's name. */
  readonly repository: string;
  /** `<tag>`, `@<digest>`, `<tag>@<digest>` or empty. */
  readonly object: string;
  /** Empty when there is none. */
  readonly tag: string;
  /** As written, not checked; empty when there is none. */
  readonly digest: string;
}

/** Characters that no URL host may hold, which is how containerd reads it. */
const HOST = /^(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:?#[\]@\\<>"^`{}|]+)(?::\d*)?$/;

/** Throws InvalidArgument in containerd's words. */
export function parseReference(text: string): Reference {
  if (text.includes('://')) throw invalid(text, 'invalid reference');
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  if (host === '') throw invalid(text, 'hostname required');
  if (!HOST.test(host)) throw invalid(text, 'invalid reference');
  const { path, object } = splitObject(slash < 0 ? '' : text.slice(slash));
  if (path.split('/').includes('..')) throw invalid(text, 'invalid reference');
  const locator = posix.join(host, path).replace(/\/$/, '');
  const at = object.indexOf('@');
  return {
    locator,
    host,
    repository: locator.slice(host.length + 1),
    object,
    tag: at < 0 ? object : object.slice(0, at),
    digest: at < 0 ? '' : object.slice(at + 1),
  };
}

export function formatReference({ locator, object }: Pick<Reference, 'locator' | 'object'>): string {
  if (object === '') return locator;
  return object.startsWith('@') ? locator + object : `${locator}:${object}`;
}

/** The object begins at the first `:` or `@` of the path; a digest keeps its `@`. */
function splitObject(path: string): { path: string; object: string } {
  const start = path.search(/[:@]/);
  if (start < 0) return { path, object: '' };
  const object = path.slice(path[start] === ':' ? start + 1 : start);
  return { path: path.slice(0, start), object };
}

function invalid(text: string, problem: string) {
  return invalidArgument(`reference ${JSON.stringify(text)}: ${problem}`);
}
