import type { IdMapping } from './id-mapping.ts';
import type { Int64 } from './int64.ts';
import type { LinuxSpec } from './spec-linux.ts';

/**
 * An OCI runtime specification, `config.json` of a bundle; what it says of other platforms than Linux is kept as it came.
 * Source: OCI runtime-spec 1.2 config.md.
 */
export interface RuntimeSpec {
  ociVersion: string;
  process?: ProcessSpec;
  root?: RootSpec;
  hostname?: string;
  /** The NIS domain name. */
  domainname?: string;
  mounts?: MountSpec[];
  hooks?: HooksSpec;
  annotations?: Record<string, string>;
  linux?: LinuxSpec;
  solaris?: object;
  windows?: object;
  vm?: object;
  zos?: object;
}

export interface ProcessSpec {
  terminal?: boolean;
  /** In characters. */
  consoleSize?: { height: number; width: number };
  user?: UserSpec;
  args?: string[];
  /** Each is `NAME=value`. */
  env?: string[];
  /** Absolute, in the container. */
  cwd: string;
  capabilities?: CapabilitySets;
  rlimits?: RlimitSpec[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
  scheduler?: SchedulerSpec;
  ioPriority?: { class: 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE'; priority: number };
  execCPUAffinity?: { initial?: string; final?: string };
}

export interface UserSpec {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
  /** On Windows only. */
  username?: string;
}

/** Names of capabilities as `CAP_NET_ADMIN`. Source: capabilities(7). */
export interface CapabilitySets {
  bounding?: string[];
  effective?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

export interface RlimitSpec {
  /** As in getrlimit(2): `RLIMIT_NOFILE`. */
  type: string;
  hard: Int64;
  soft: Int64;
}

/** Source: sched_setattr(2). */
export interface SchedulerSpec {
  policy:
    | 'SCHED_OTHER'
    | 'SCHED_FIFO'
    | 'SCHED_RR'
    | 'SCHED_BATCH'
    | 'SCHED_ISO'
    | 'SCHED_IDLE'
    | 'SCHED_DEADLINE';
  nice?: number;
  priority?: number;
  flags?: string[];
  /** In nanoseconds, like the two that follow; of the deadline policy. */
  runtime?: Int64;
  deadline?: Int64;
  period?: Int64;
}

export interface RootSpec {
  /** Absolute, or relative to the bundle. */
  path: string;
  readonly?: boolean;
}

export interface MountSpec {
  /** Absolute, in the container. */
  destination: string;
  type?: string;
  source?: string;
  /** As in fstab(5). */
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface HookSpec {
  path: string;
  args?: string[];
  env?: string[];
  /** In seconds. */
  timeout?: number;
}

export interface HooksSpec {
  /** Deprecated in favour of the three that follow. */
  prestart?: HookSpec[];
  createRuntime?: HookSpec[];
  createContainer?: HookSpec[];
  startContainer?: HookSpec[];
  poststart?: HookSpec[];
  poststop?: HookSpec[];
}
