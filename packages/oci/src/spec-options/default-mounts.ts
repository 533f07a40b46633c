import type { MountSpec } from '../spec.ts';

const HARMLESS = ['nosuid', 'noexec', 'nodev'];
const SMALL = ['nosuid', 'strictatime', 'mode=755', 'size=65536k'];

/** What every process expects to find. Source: containerd pkg/oci/mounts.go. */
export const DEFAULT_MOUNTS: readonly MountSpec[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: HARMLESS },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: SMALL },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    // 5 is the group `tty` nearly everywhere.
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: [...HARMLESS, 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: HARMLESS },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...HARMLESS, 'ro'] },
  { destination: '/run', type: 'tmpfs', source: 'tmpfs', options: SMALL },
];
