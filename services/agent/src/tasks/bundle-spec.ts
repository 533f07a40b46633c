import { join, normalize } from 'node:path';
import { invalidArgument, messageOf } from '@longshore/errors';
import type { IdMapping, RuntimeSpec } from '@longshore/oci/runtime-spec';
import { parseLossless } from './lossless-json.ts';

/** Annotations by which runc's shim serves several containers from one process. Source: containerd manager_linux.go. */
const GROUP_ANNOTATIONS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];

export interface BundleSpec {
  /** What `config.json` gets: the caller's bytes, but for the cgroup path. */
  config: Uint8Array;
  /** The host's gid that is root in the container's user namespace; undefined without one. */
  rootGid: number | undefined;
  /** True when the shim may be shared with other containers. */
  isGrouped: boolean;
}

/**
 * Prepares a container's spec for its bundle. A cgroupfs path (an absolute one) is put under `cgroupParent`, so that
 * several instances on one machine do not share cgroups; systemd's `slice:prefix:name` stays as it is.
 */
export function prepareSpec(spec: Uint8Array, cgroupParent: string): BundleSpec {
  const text = new TextDecoder().decode(spec);
  const parsed = parse(text);
  const cgroupsPath = parsed.linux?.cgroupsPath;
  return {
    config: cgroupsPath?.startsWith('/')
      ? withCgroupsPath(text, join(cgroupParent, normalize(cgroupsPath)))
      : spec,
    rootGid: hostRootOf(parsed.linux?.gidMappings),
    isGrouped: GROUP_ANNOTATIONS.some((name) => parsed.annotations?.[name] !== undefined),
  };
}

function parse(text: string): RuntimeSpec {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed as RuntimeSpec;
  } catch (error) {
    throw invalidArgument(`spec is no JSON document: ${messageOf(error)}`, { cause: error });
  }
  throw invalidArgument('spec is no JSON object');
}

function withCgroupsPath(text: string, cgroupsPath: string): Uint8Array {
  const spec = parseLossless(text) as RuntimeSpec;
  spec.linux = { ...spec.linux, cgroupsPath };
  return new TextEncoder().encode(JSON.stringify(spec));
}

function hostRootOf(mappings: IdMapping[] | undefined): number | undefined {
  return mappings?.find(({ containerID, size }) => containerID === 0 && size > 0)?.hostID;
}
