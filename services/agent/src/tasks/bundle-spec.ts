import { join, normalize } from 'node:path';
import { invalidArgument, messageOf } from '@longshore/errors';
import type { IdMapping, RuntimeSpec } from '@longshore/oci/runtime-spec';
import { jsonDepth, skipWhiteSpace } from './json-members.ts';
import { findSpecMembers, type SpecMembers } from './spec-keys.ts';

/** Annotations by which runc's shim serves several containers from one process. Source: containerd manager_linux.go. */
const GROUP_ANNOTATIONS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

/** `slice:prefix:name`, what runtimes take for the path when systemd makes their cgroups. */
const SYSTEMD_FORM = /^[^:/]*:[^:/]*:[^:/]*$/;

/** Deeper documents are refused by Go's encoding/json, and make trouble here: a deep one takes seconds to parse. */
const MAX_DEPTH = 10_000;
const MAX_GID = 2 ** 32 - 2;
/** With a hierarchy's own path in front, what the kernel takes for a path. */
const MAX_CGROUP_BYTES = 3_840;

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
  const members = findSpecMembers(text);
  const cgroup = cgroupOf(parsed.linux?.cgroupsPath || undefined, place);
  return {
    config: cgroup === undefined ? spec : withCgroupsPath(text, members, cgroup),
    cgroup,
    rootGid: hostRootOf(parsed.linux?.gidMappings),
    isGrouped: GROUP_ANNOTATIONS.some((name) => parsed.annotations?.[name] !== undefined),
  };
}

function parse(text: string): RuntimeSpec {
  if (jsonDepth(text) > MAX_DEPTH) throw invalidArgument(`spec nests deeper than ${MAX_DEPTH}`);
  const parsed = fromJson(text);
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
  if (wanted.includes('\0')) throw invalidArgument('spec: linux.cgroupsPath has a NUL');
  const bytes = Buffer.byteLength(wanted);
  if (bytes > MAX_CGROUP_BYTES) {
    throw invalidArgument(`spec: linux.cgroupsPath has ${bytes} bytes, more than ${MAX_CGROUP_BYTES}`);
  }
  if (bySystemd ?? SYSTEMD_FORM.test(wanted)) return undefined;
  // A relative path would be taken from the shim's own cgroup. The parent itself is nobody's.
  const below = normalize(`/${wanted}`).replace(/\/$/, '');
  return join(parent, below || fallback);
}

/** All else stays as it was written: an integer of 64 bits does not fit a JavaScript number. */
function withCgroupsPath(text: string, { linux, cgroupsPath }: SpecMembers, cgroup: string): Uint8Array {
  const path = JSON.stringify(cgroup);
  const member = `"cgroupsPath":${path}`;
  const replaced = (by: string, { valueAt, valueEnd } = cgroupsPath ?? linux!) =>
    text.slice(0, valueAt) + by + text.slice(valueEnd);
  const encode = (edited: string) => new TextEncoder().encode(edited);
  if (cgroupsPath) return encode(replaced(path));
  if (!linux) return encode(withMember(text, 0, `"linux":{${member}}`));
  if (text[linux.valueAt] === '{') return encode(withMember(text, linux.valueAt, member));
  return encode(replaced(`{${member}}`));
}

/** Puts a member first into the object that begins at `at`. */
function withMember(text: string, at: number, member: string): string {
  const inside = skipWhiteSpace(text, at) + 1;
  const separator = text[skipWhiteSpace(text, inside)] === '}' ? '' : ',';
  return text.slice(0, inside) + member + separator + text.slice(inside);
}

/** Of the first mapping that has root, which must then be one for Go too. */
function hostRootOf(mappings: unknown): number | undefined {
  if (!Array.isArray(mappings)) return undefined;
  const found = (mappings as (IdMapping | null)[]).find(
    (entry) => entry?.containerID === 0 && entry.size > 0,
  );
  const gid = found?.hostID;
  if (gid === undefined) return undefined;
  if (!Number.isInteger(gid) || gid < 0 || gid > MAX_GID) {
    throw invalidArgument('spec: linux.gidMappings: hostID is no group ID');
  }
  return gid;
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`spec is no JSON document: ${messageOf(error)}`, { cause: error });
  }
}

function isObject(value: unknown): value is RuntimeSpec & Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
