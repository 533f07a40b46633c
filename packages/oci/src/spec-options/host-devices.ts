import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '@longshore/errors';
import type { DeviceSpec } from '../spec-linux.ts';

/** Below `/dev`: not devices of the host but of whoever mounted it. */
const FOREIGN_DIRECTORIES: ReadonlySet<string> = new Set(
  'pts shm fd mqueue .lxc .lxd-mounts .udev'.split(' '),
);
const PERMISSION_BITS = 0o7777;

/**
 * Describes a device of this machine for `withDevices`, or all that are in a directory and below it; `containerPath` says
 * where it is to be in the container. A symlink is followed, but none inside of a directory. Throws InvalidArgument for
 * what is neither, and the errno of what cannot be read.
 */
export function readHostDevices(path: string, containerPath: string = path): DeviceSpec[] {
  const stats = statSync(path);
  if (stats.isDirectory()) return readDirectory(path, containerPath);
  const device = describeDevice(lstatSync(realpathSync(path)), containerPath);
  if (device === undefined) throw invalidArgument(`${JSON.stringify(path)} is no device`);
  return [device];
}

function readDirectory(path: string, containerPath: string): DeviceSpec[] {
  const entries = readdirSync(path, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const here = join(path, entry.name);
    const there = join(containerPath, entry.name);
    if (entry.isDirectory()) return FOREIGN_DIRECTORIES.has(entry.name) ? [] : readDirectory(here, there);
    return readEntry(entry, here, there);
  });
}

function readEntry(entry: Dirent, path: string, containerPath: string): DeviceSpec[] {
  if (entry.name === 'console' || !(entry.isBlockDevice() || entry.isCharacterDevice())) return [];
  // It may have been unplugged since.
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats ? [describeDevice(stats, containerPath) ?? []].flat() : [];
}

function describeDevice(stats: Stats, path: string): DeviceSpec | undefined {
  const type = typeOf(stats);
  if (type === undefined) return undefined;
  const { major, minor } = splitDevice(stats.rdev);
  return { path, type, major, minor, fileMode: stats.mode & PERMISSION_BITS, uid: stats.uid, gid: stats.gid };
}

function typeOf(stats: Stats): DeviceSpec['type'] | undefined {
  if (stats.isBlockDevice()) return 'b';
  if (stats.isCharacterDevice()) return 'c';
  return stats.isFIFO() ? 'p' : undefined;
}

/** Linux itself has 12 bits for majors and 20 for minors. Source: glibc sys/sysmacros.h, linux/kdev_t.h. */
function splitDevice(device: number): { major: number; minor: number } {
  return {
    major: (device >>> 8) & 0xfff,
    minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
  };
}
