import { posix } from 'node:path';
import { failedPrecondition } from '@longshore/errors';
import type { MountSpec } from '../spec.ts';
import type { SpecOption } from './spec-option.ts';

const SHM = '/dev/shm';

/** Adds them behind those that there are, over which they come. */
export function withMounts(mounts: readonly MountSpec[]): SpecOption {
  return changeMounts((before) => [...before, ...mounts]);
}

/** Takes away what is mounted at these places of the container. */
export function withoutMounts(destinations: readonly string[]): SpecOption {
  const gone = new Set(destinations.map(clean));
  return changeMounts((mounts) => mounts.filter(({ destination }) => !gone.has(clean(destination))));
}

export const withoutRunMount: SpecOption = withoutMounts(['/run']);

/** The host's, read-only. */
export const withHostHostsFile: SpecOption = withMounts([hostFile('/etc/hosts')]);
export const withHostResolvconf: SpecOption = withMounts([hostFile('/etc/resolv.conf')]);
export const withHostLocaltime: SpecOption = withMounts([hostFile('/etc/localtime')]);

export const withWriteableSysfs: SpecOption = makeWriteable('sysfs');
export const withWriteableCgroupfs: SpecOption = makeWriteable('cgroup');

/** How much shared memory there may be. Throws FailedPrecondition when the spec mounts none. */
export function withDevShmSize(sizeKib: number): SpecOption {
  return changeMounts((mounts) => {
    if (!mounts.some(isShm)) throw failedPrecondition(`spec has no mount of shared memory at ${SHM}`);
    return mounts.map((mount) => (isShm(mount) ? withSize(mount, `${sizeKib}k`) : mount));
  });
}

function changeMounts(change: (mounts: readonly MountSpec[]) => MountSpec[]): SpecOption {
  return (spec) => ({ ...spec, mounts: change(spec.mounts ?? []) });
}

function hostFile(path: string): MountSpec {
  return { destination: path, type: 'bind', source: path, options: ['rbind', 'ro'] };
}

function makeWriteable(type: string): SpecOption {
  const writeable = (option: string) => (option === 'ro' ? 'rw' : option);
  return changeMounts((mounts) =>
    mounts.map((mount) =>
      mount.type === type && mount.options ? { ...mount, options: mount.options.map(writeable) } : mount,
    ),
  );
}

function isShm({ destination, type, source }: MountSpec): boolean {
  return clean(destination) === SHM && type === 'tmpfs' && source === 'shm';
}

function withSize(mount: MountSpec, size: string): MountSpec {
  const others = (mount.options ?? []).filter((option) => !option.startsWith('size='));
  return { ...mount, options: [...others, `size=${size}`] };
}

/** As Go's filepath.Clean: one spelling for each path. */
function clean(path: string): string {
  return posix.join(path, '.').replace(/(?<=.)\/$/, '');
}
