import { messageOf } from '@longshore/errors';
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_READONLY_PATHS,
  type DeviceRule,
  type LinuxSpec,
  type MountSpec,
  type NamespaceType,
  type ProcessSpec,
  type ResourcesSpec,
  type RuntimeSpec,
} from '@longshore/oci/runtime-spec';
import { duplicateKey } from './duplicate-keys.ts';

/**
 * Why a container would give its owner the host, in words that go on "which this needs: "; undefined when it would not. What
 * is not known to be harmless is taken for the worst: also keys that are not known, which a runtime may know.
 */
export type HostReason = string | undefined;

/** Written to from a container, these change the host. Kept from it by either list. */
const GUARDED_PATHS = [...DEFAULT_READONLY_PATHS, '/proc/kcore'];

/** Without one of its own, a container is in the host's. */
const OWN_NAMESPACES: readonly NamespaceType[] = ['pid', 'ipc', 'uts', 'mount', 'network'];

/** File systems that hold nothing of the host, or only what they show read-only. */
const MOUNT_TYPES: ReadonlySet<string> = new Set([
  'proc',
  'tmpfs',
  'devpts',
  'mqueue',
  'sysfs',
  'cgroup',
  'cgroup2',
]);
const READ_ONLY_TYPES: ReadonlySet<string> = new Set(['sysfs', 'cgroup', 'cgroup2']);
const HOST_OPTIONS = /^(r?bind|remount|move|r?shared|rw|idmap|ridmap)(=|$)/;

/** Runtimes take orders from these: programs to run, properties of units. */
const COMMANDING_ANNOTATION = /^(run\.oci\.|io\.katacontainers\.|dev\.gvisor\.|org\.systemd\.property\.)/;

/** Devices that hold nothing of the host. Source: Linux admin-guide/devices.txt. */
const HARMLESS_DEVICES: ReadonlySet<string> = new Set([
  ...['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2', '10:200'],
]);
const PTS_MAJOR = 136;

const SPEC_KEYS = [
  'ociVersion',
  'process',
  'root',
  'hostname',
  'domainname',
  'mounts',
  'annotations',
  'linux',
];
const PROCESS_KEYS = [
  ...['terminal', 'consoleSize', 'user', 'args', 'env', 'cwd', 'capabilities', 'rlimits', 'noNewPrivileges'],
  ...['apparmorProfile', 'oomScoreAdj', 'ioPriority', 'execCPUAffinity', 'commandLine'],
];
const CAPABILITY_KEYS = ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'];
const LINUX_KEYS = [
  ...['uidMappings', 'gidMappings', 'sysctl', 'resources', 'cgroupsPath', 'namespaces', 'seccomp'],
  ...['rootfsPropagation', 'maskedPaths', 'readonlyPaths', 'personality', 'timeOffsets'],
];
const RESOURCE_KEYS = [
  ...['devices', 'memory', 'cpu', 'pids', 'blockIO', 'hugepageLimits', 'network', 'rdma', 'unified'],
];
const SECCOMP_KEYS = ['defaultAction', 'defaultErrnoRet', 'architectures', 'flags', 'syscalls'];

/** Of a container's whole spec, as its record has it. */
export function hostReasonOfSpec(json: Uint8Array): HostReason {
  return judged(json, (spec: RuntimeSpec) =>
    firstOf(
      () => unknownKey('spec', spec, SPEC_KEYS),
      () =>
        spec.root && spec.root.path !== 'rootfs' ? 'its root file system is a path of the host' : undefined,
      () => unknownKey('root', spec.root, ['path', 'readonly']),
      () => ofProcess(spec.process),
      () => eachOf(spec.mounts, ofMount),
      () => (hasTwoProc(spec.mounts) ? 'proc is mounted elsewhere than at /proc' : undefined),
      () => ofAnnotations(spec.annotations),
      () => ofLinux(spec.linux),
    ),
  );
}

/** Of a process that joins a container. */
export function hostReasonOfProcess(json: Uint8Array): HostReason {
  return judged(json, (process: ProcessSpec) => ofProcess(process));
}

/** Of new limits of a container that runs: its devices are no part of that. */
export function hostReasonOfResources(json: Uint8Array): HostReason {
  return judged(json, (resources: ResourcesSpec) =>
    unknownKey(
      'resources',
      resources,
      RESOURCE_KEYS.filter((key) => key !== 'devices'),
    ),
  );
}

export function ofAnnotations(annotations: Record<string, string> | undefined): HostReason {
  const found = Object.keys(annotations ?? {}).find((name) => COMMANDING_ANNOTATION.test(name));
  return found && `annotation ${found}`;
}

function judged<T>(json: Uint8Array, judge: (value: T) => HostReason): HostReason {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(json);
    const value = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return 'its spec is no object';
    const twice = duplicateKey(text);
    return twice === undefined ? judge(value as T) : `its spec has ${JSON.stringify(twice)} twice`;
  } catch (error) {
    // Values of other types than the spec has them break the judging, and whoever reads it next may take them for anything.
    return `its spec cannot be read: ${messageOf(error)}`;
  }
}

function ofProcess(process: ProcessSpec | undefined): HostReason {
  if (!process) return undefined;
  return firstOf(
    () => unknownKey('process', process, PROCESS_KEYS),
    () => unknownKey('capabilities', process.capabilities, CAPABILITY_KEYS),
    () => {
      const names = Object.values(process.capabilities ?? {}).flatMap((set: string[] | null) => set ?? []);
      const more = names.find((name) => !DEFAULT_CAPABILITIES.includes(name));
      return more && `capability ${more}`;
    },
  );
}

function ofMount(mount: MountSpec): HostReason {
  const { type = '', options, destination } = mount;
  const where = `the mount at ${JSON.stringify(destination)}`;
  const chosen = (options ?? []).find(
    (option) => HOST_OPTIONS.test(option) && !(option === 'rw' && type === 'tmpfs'),
  );
  if (!MOUNT_TYPES.has(type) || chosen) return `${where} is of the host`;
  if (READ_ONLY_TYPES.has(type) && !options?.includes('ro')) return `${where} can be written to`;
  return unknownKey(where, mount, ['destination', 'type', 'source', 'options', 'uidMappings', 'gidMappings']);
}

/** Another one has none of what is hidden and read-only in the first. */
function hasTwoProc(mounts: MountSpec[] | undefined): boolean {
  const all = (mounts ?? []).filter(({ type }) => type === 'proc');
  return all.length > 1 || all.some(({ destination }) => destination !== '/proc');
}

function ofLinux(linux: LinuxSpec | undefined): HostReason {
  if (!linux) return 'it has no namespaces of its own';
  return firstOf(
    () => unknownKey('linux', linux, LINUX_KEYS),
    () => ofNamespaces(linux),
    () => {
      const guarded = new Set([...(linux.maskedPaths ?? []), ...(linux.readonlyPaths ?? [])]);
      const open = GUARDED_PATHS.find((path) => !guarded.has(path));
      return open && `${open} is neither hidden nor read-only`;
    },
    () => (/shared/.test(linux.rootfsPropagation ?? '') ? 'its mounts show on the host' : undefined),
    () => unknownKey('seccomp', linux.seccomp, SECCOMP_KEYS),
    () => unknownKey('resources', linux.resources, RESOURCE_KEYS),
    () => ofDeviceRules(linux.resources?.devices),
  );
}

function ofNamespaces({ namespaces = [] }: LinuxSpec): HostReason {
  const own = new Set(namespaces.map(({ type }) => type));
  const host = OWN_NAMESPACES.find((type) => !own.has(type));
  if (host) return `it is in the host's ${host} namespace`;
  return eachOf(namespaces, (namespace) =>
    namespace.path
      ? `it joins the ${namespace.type} namespace ${namespace.path}`
      : unknownKey('a namespace', namespace, ['type', 'path']),
  );
}

/** The last rule that fits decides: the first one must deny all, those that follow may allow what is harmless. */
function ofDeviceRules(rules: DeviceRule[] | undefined): HostReason {
  const [first, ...others] = rules ?? [];
  const isShut = first && !first.allow && (first.type ?? 'a') === 'a' && first.access === 'rwm';
  if (!isShut || !isAny(first.major) || !isAny(first.minor)) return 'devices of the host are allowed';
  return eachOf([first, ...others], (rule) => {
    const unknown = unknownKey('a device rule', rule, ['allow', 'type', 'major', 'minor', 'access']);
    if (unknown || !rule.allow || rule.access === 'm') return unknown;
    const isHarmless =
      rule.type === 'c' && (rule.major === PTS_MAJOR || HARMLESS_DEVICES.has(`${rule.major}:${rule.minor}`));
    return isHarmless ? undefined : `device ${rule.type ?? 'a'} ${rule.major ?? '*'}:${rule.minor ?? '*'}`;
  });
}

function isAny(number: number | null | undefined): boolean {
  return number === undefined || number === null || number === -1;
}

function unknownKey(what: string, value: object | null | undefined, known: readonly string[]): HostReason {
  const found = Object.entries(value ?? {}).find(([key, of]) => !known.includes(key) && !isEmpty(of));
  return found && `${what} has ${JSON.stringify(found[0])}`;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === '' || value === false;
}

function eachOf<T>(values: readonly T[] | null | undefined, judge: (value: T) => HostReason): HostReason {
  for (const value of values ?? []) {
    const reason = judge(value);
    if (reason) return reason;
  }
  return undefined;
}

export function firstOf(...judges: (() => HostReason)[]): HostReason {
  for (const judge of judges) {
    const reason = judge();
    if (reason) return reason;
  }
  return undefined;
}
