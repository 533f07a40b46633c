import { posix } from 'node:path';
import type { RuntimeSpec } from '../spec.ts';
import type { NamespaceType } from '../spec-linux.ts';
import { DEFAULT_MOUNTS } from './default-mounts.ts';
import { DEFAULT_CAPABILITIES } from './known-capabilities.ts';

/** The oldest version that has every field that the options here set. */
const OCI_VERSION = '1.1.0';

/** Where a runtime's shim mounts the root file system, relative to the bundle. */
const ROOT_PATH = 'rootfs';

const NAMESPACES: readonly NamespaceType[] = ['pid', 'ipc', 'uts', 'mount', 'network'];

/** These tell of the host, or of other containers' work on it. */
export const DEFAULT_MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
  '/proc/scsi',
];

/** Written to, these change the host. */
export const DEFAULT_READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

export interface SpecSubject {
  /** Containerd's namespace of the container. */
  namespace: string;
  /** The container's. */
  id: string;
}

/**
 * What a Linux container is before its image and its user say more, as containerd has it: root with a few capabilities, in
 * namespaces and a control group of its own. It has no command, and no system call filter: see `withDefaultSeccomp`.
 * Source: containerd pkg/oci/spec.go.
 */
export function defaultSpec({ namespace, id }: SpecSubject): RuntimeSpec {
  return {
    ociVersion: OCI_VERSION,
    process: {
      user: { uid: 0, gid: 0 },
      cwd: '/',
      capabilities: {
        bounding: [...DEFAULT_CAPABILITIES],
        effective: [...DEFAULT_CAPABILITIES],
        permitted: [...DEFAULT_CAPABILITIES],
      },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: ROOT_PATH },
    mounts: structuredClone([...DEFAULT_MOUNTS]),
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      cgroupsPath: posix.join('/', namespace, id),
      namespaces: NAMESPACES.map((type) => ({ type })),
      maskedPaths: [...DEFAULT_MASKED_PATHS],
      readonlyPaths: [...DEFAULT_READONLY_PATHS],
    },
  };
}
