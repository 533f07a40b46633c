import { join, normalize } from 'node:path';
import { invalidArgument, messageOf } from '@longshore/errors';
import type { IdMapping, RuntimeSpec } from '@longshore/oci/runtime-spec';
import { parseLossless } from './lossless-json.ts';
import { refuseAmbiguousKeys } from './spec-keys.ts';

/** Annotations by which runc's shim serves several containers from one process. Source: containerd manager_linux.go. */
const GROUP_ANNOTATIONS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/** `slice:prefix:name`, what runtimes take for the path when systemd makes their cgroups. */
const SYSTEMD_FORM = /^[^:/]*:[^:/]*:[^:/]*$/;

export interface BundleSpec {
  /** What `config.json` gets: the caller's bytes, but for the cgroup path. */
  config: Uint8Array;
  /** The container's cgroup, from the hierarchies' roots; undefined when systemd names it. */
  cgroup: string | undefined;
  /** The host's gid that is root in the container's user namespace; undefined without one. */
  rootGid: number | undefined;
  /** True when the shim may be shared with other containers. */
  isGrouped: boolean;
}

/** Where a container's cgroup goes. */
export interface CgroupPlace {
  /** Several instances on one machine have a parent each. */
  parent: string;
  /** Below the parent, for a spec that names none: the runtime would put it below its own, by the bare id. */
  fallback: string;
  /** Whether systemd makes the cgroups; undefined when only the spec can tell, by the form of its path. */
  bySystemd: boolean | undefined;
}

/**
 * Prepares a container's spec for its bundle: its cgroup goes below the parent, wherever the spec wants it. systemd's
 * `slice:prefix:name` stays as it is. `InvalidArgument` for what is no spec.
 */
export function prepareSpec(spec: Uint8Array, place: CgroupPlace): BundleSpec {
  const text = new TextDecoder().decode(spec);
  const parsed = parse(text);
  refuseAmbiguousKeys(text);
  const cgroup = cgroupOf(parsed.linux?.cgroupsPath || undefined, place);
  return {
    config: cgroup === undefined ? spec : withCgroupsPath(text, cgroup),
    cgroup,
    rootGid: hostRootOf(parsed.linux?.gidMappings),
    isGrouped: GROUP_ANNOTATIONS.some((name) => parsed.annotations?.[name] !== undefined),
  };
}

function parse(text: string): RuntimeSpec {
  const parsed = inWords(() => JSON.parse(text) as unknown);
  if (!isObject(parsed)) throw invalidArgument('spec is no JSON object');
  for (const name of ['linux', 'annotations']) {
    const part = parsed[name] ?? {};
    if (!isObject(part)) throw invalidArgument(`spec: ${name} is no JSON object`);
  }
  return parsed;
}

function cgroupOf(path: unknown, { parent, fallback, bySystemd }: CgroupPlace): string | undefined {
  const wanted = path ?? fallback;
  if (typeof wanted !== 'string') throw invalidArgument('spec: linux.cgroupsPath is no string');
  if (bySystemd ?? SYSTEMD_FORM.test(wanted)) return undefined;
  // A relative path would be taken from the shim's own cgroup. The parent itself is nobody's.
  const below = normalize(`/${wanted}`).replace(/\/$/, '');
  return join(parent, below || fallback);
}

function withCgroupsPath(text: string, cgroupsPath: string): Uint8Array {
  return inWords(() => {
    const spec = parseLossless(text) as RuntimeSpec;
    spec.linux = { ...spec.linux, cgroupsPath };
    return new TextEncoder().encode(JSON.stringify(spec));
  });
}

function hostRootOf(mappings: unknown): number | undefined {
  if (!Array.isArray(mappings)) return undefined;
  const found = (mappings as (IdMapping | null)[]).find(
    (entry) => entry?.containerID === 0 && entry.size > 0,
  );
  return found?.hostID;
}

/** A document that nests too deeply is a RangeError. */
function inWords<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw invalidArgument(`spec is no JSON document: ${messageOf(error)}`, { cause: error });
  }
}

function isObject(value: unknown): value is RuntimeSpec & Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
