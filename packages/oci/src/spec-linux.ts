import type { IdMapping } from './id-mapping.ts';
import type { ResourcesSpec } from './spec-resources.ts';
import type { SeccompSpec } from './spec-seccomp.ts';

/** Source: OCI runtime-spec 1.2 config-linux.md. */
export interface LinuxSpec {
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  sysctl?: Record<string, string>;
  resources?: ResourcesSpec;
  /** `<parent>/<name>`, or `<slice>:<prefix>:<name>` with systemd's cgroup driver. */
  cgroupsPath?: string;
  namespaces?: NamespaceSpec[];
  devices?: DeviceSpec[];
  seccomp?: SeccompSpec;
  /** A propagation type of mount_namespaces(7): `rslave`. */
  rootfsPropagation?: string;
  /** Absolute paths that are hidden from the container. */
  maskedPaths?: string[];
  readonlyPaths?: string[];
  /** SELinux context of the mounts. */
  mountLabel?: string;
  intelRdt?: IntelRdtSpec;
  personality?: { domain: 'LINUX' | 'LINUX32'; flags?: string[] };
  /** Of a time namespace, by clock. */
  timeOffsets?: Partial<Record<'monotonic' | 'boottime', { secs?: number; nanosecs?: number }>>;
}

export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export interface NamespaceSpec {
  type: NamespaceType;
  /** An existing namespace to join; a new one is made when absent. */
  path?: string;
}

/** A device node that is made in the container. */
export interface DeviceSpec {
  path: string;
  /** Block, character, unbuffered character, FIFO. */
  type: 'b' | 'c' | 'u' | 'p';
  major: number;
  minor: number;
  /** Permission bits. */
  fileMode?: number;
  uid?: number;
  gid?: number;
}

/** Intel's Resource Director Technology. */
export interface IntelRdtSpec {
  closID?: string;
  schemata?: string;
  l3CacheSchema?: string;
  memBwSchema?: string;
  enableCMT?: boolean;
  enableMBM?: boolean;
}
