import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, cString, declare } from './libc.ts';
import { AT_FDCWD, close } from './open.ts';

/** The same numbers on every architecture. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;

/** Source: linux/mount.h, linux/fcntl.h. */
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_IDMAP = 0x100000n;
const MOUNT_ATTR_BYTES = 32;

const openTreeCall = declare<[number, number, Buffer, number]>(
  'long syscall(long number, int dirfd, const void *path, unsigned int flags)',
);
const moveMountCall = declare<[number, number, Buffer, number, Buffer, number]>(
  'long syscall(long number, int fromFd, const void *from, int toFd, const void *to, unsigned int flags)',
);
const mountSetattrCall = declare<[number, number, Buffer, number, Buffer, number]>(
  'long syscall(long number, int dirfd, const void *path, unsigned int flags, const void *attributes, size_t size)',
);

const EMPTY = Buffer.from([0]);

/**
 * Mounts what is at `source` at `target` too, there with the owners that the user namespace `usernsFd` maps its ids to.
 * Needs Linux 5.12 and a file system that can. Throws a SystemCallError.
 */
export function bindMapped(source: string, target: string, usernsFd: number, recursive = false): void {
  const deep = recursive ? AT_RECURSIVE : 0;
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | deep;
  const tree = check(openTreeCall(SYS_OPEN_TREE, AT_FDCWD, cString(source), flags), 'open_tree', source);
  try {
    const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
    attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
    attributes.writeBigUInt64LE(BigInt(usernsFd), 24);
    const set = mountSetattrCall(
      SYS_MOUNT_SETATTR,
      tree,
      EMPTY,
      AT_EMPTY_PATH | deep,
      attributes,
      MOUNT_ATTR_BYTES,
    );
    check(set, 'mount_setattr', source);
    const to = cString(target);
    const moved = moveMountCall(SYS_MOVE_MOUNT, tree, EMPTY, AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH);
    check(moved, 'move_mount', target);
  } finally {
    close(tree);
  }
}

/**
 * Has `work` done with the options of an overlay whose lower directories are mounted elsewhere, mapped, for that time: an
 * overlay keeps what it was made of. `unmount` detaches one.
 */
export async function withMappedLowers(
  options: readonly string[],
  usernsFd: number,
  work: (options: string[]) => Promise<void>,
  unmount: (path: string) => Promise<void>,
): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'longshore-idmap-'));
  const mounted: string[] = [];
  const made: string[] = [];
  try {
    const mapped: string[] = [];
    for (const option of options) {
      if (!option.startsWith(LOWERS)) {
        mapped.push(option);
        continue;
      }
      for (const [n, lower] of option.slice(LOWERS.length).split(':').entries()) {
        const place = join(base, String(n));
        await mkdir(place);
        made.push(place);
        bindMapped(lower, place, usernsFd);
        mounted.push(place);
      }
      mapped.push(`${LOWERS}${made.join(':')}`);
    }
    await work(mapped);
  } finally {
    for (const place of mounted) await unmount(place);
    for (const place of made) await rmdir(place);
    await rmdir(base);
  }
}

const LOWERS = 'lowerdir=';
