/**
 * The part of an OCI runtime specification that longshore reads or writes; everything else in the document is
 * kept as it came. Field names are those of `config.json`. Source: OCI runtime-spec config.md, config-linux.md.
 */
export interface RuntimeSpec {
  ociVersion: string;
  process?: ProcessSpec;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  mounts?: MountSpec[];
  annotations?: Record<string, string>;
  linux?: LinuxSpec;
  [other: string]: unknown;
}

export interface ProcessSpec {
  terminal?: boolean;
  cwd: string;
  args?: string[];
  env?: string[];
  user?: { uid: number; gid: number; umask?: number; additionalGids?: number[]; username?: string };
  [other: string]: unknown;
}

export interface MountSpec {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface LinuxSpec {
  /** `<parent>/<name>`, or `<slice>:<prefix>:<name>` with systemd's cgroup driver. */
  cgroupsPath?: string;
  namespaces?: NamespaceSpec[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  [other: string]: unknown;
}

export interface NamespaceSpec {
  type: 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';
  /** An existing namespace to join; a new one is made when absent. */
  path?: string;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}
