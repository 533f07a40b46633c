import { realpathSync } from 'node:fs';
import { invalidArgument, unimplemented } from '@longshore/errors';
import { isErrno } from './errno.ts';
import { bindMapped, withMappedLowers } from './id-mapped-mount.ts';
import { cString, declare, declareAsync } from './libc.ts';
import { readMountInfo } from './mount-info.ts';
import { MountFlag, type ParsedMountOptions, parseMountOptions } from './mount-options.ts';
import { close, OpenFlag, openInRoot } from './open.ts';
import { openUserNamespace } from './user-namespace.ts';

type IdMap = NonNullable<ParsedMountOptions['idMap']>;

/** One mount as containerd's API has it. Source: containerd core/mount/mount.go. */
export interface Mount {
  /** File system type; `bind` for a bind mount. */
  type: string;
  source: string;
  /** Where below the target directory; the target directory itself when absent or empty. */
  target?: string | undefined;
  /** fstab-style words; those that are no flags go to the file system. */
  options: readonly string[];
}

/** Flags of umount2(2). Source: linux/fs.h. */
export const UnmountFlag = { Force: 1, Detach: 2, Expire: 4, NoFollow: 8 } as const;

const mountCall = declareAsync<[Buffer, Buffer, Buffer, number, Buffer]>(
  'int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)',
);
const unmountCall = declareAsync<[Buffer, number]>('int umount2(const void *target, int flags)');
const pageSizeCall = declare<[]>('int getpagesize()');

/** What a bind mount takes over from its source unless it is mounted once more with other flags. */
const BIND_NEEDS_REMOUNT =
  MountFlag.ReadOnly |
  MountFlag.NoSuid |
  MountFlag.NoDev |
  MountFlag.NoExec |
  MountFlag.NoAtime |
  MountFlag.NoDirAtime;

/** mount(2), on a thread of the pool since it may block. `flags` of {@link MountFlag}. Rejects with a SystemCallError. */
export async function mount(
  source: string,
  target: string,
  type: string,
  flags: number,
  data: string,
): Promise<void> {
  const pageSize = pageSizeCall();
  // The kernel copies one page and cuts the rest off without a word.
  if (Buffer.byteLength(data) >= pageSize) {
    throw invalidArgument(
      `mount ${type} on ${target}: options of ${data.length} bytes exceed a page of ${pageSize}`,
    );
  }
  const call = { syscall: 'mount', path: source, destination: target };
  await mountCall(call, cString(source), cString(target), cString(type), flags, cString(data));
}

/** Mounts each of `mounts` in turn on or below `targetDir`, which must exist. When one fails, those before it are undone. */
export async function mountAll(mounts: readonly Mount[], targetDir: string): Promise<void> {
  let done = 0;
  try {
    for (const one of mounts) {
      await mountOne(one, targetDir);
      done++;
    }
  } catch (error) {
    if (done > 0) await unmountRecursive(targetDir);
    throw error;
  }
}

async function mountOne(one: Mount, targetDir: string): Promise<void> {
  if (!one.target) return mountWithOptions(one, targetDir);
  // What was mounted so far may hold symlinks of a container's making; they must not lead out of it.
  const fd = openInRoot(targetDir, one.target, OpenFlag.Path);
  try {
    await mountWithOptions(one, `/proc/self/fd/${fd}`);
  } finally {
    close(fd);
  }
}

async function mountWithOptions(one: Mount, target: string): Promise<void> {
  const { flags, propagation, data, idMap } = parseMountOptions(one.options);
  const bind = one.type === 'bind' ? MountFlag.Bind : 0;
  const all = flags | bind;
  if (idMap) return mountMapped(one, target, idMap);
  if (!(all & MountFlag.Remount) || data !== '') await mount(one.source, target, one.type, all, data);
  await finish(target, all, propagation);
}

/**
 * Files of the host's ids show as those of a user namespace: a bind mount's all, an overlay's where they are not in its
 * upper directory, which has been written to by that namespace. Source: containerd core/mount/mount_linux.go.
 */
async function mountMapped(one: Mount, target: string, { uids, gids }: IdMap): Promise<void> {
  const options = one.options.filter((option) => !/^[ug]idmap=/.test(option));
  const usernsFd = await openUserNamespace(uids, gids);
  try {
    if (one.type === 'overlay') {
      const mountIt = (mapped: string[]) => mountWithOptions({ ...one, options: mapped }, target);
      const detach = (path: string) => unmount(path, UnmountFlag.Detach);
      await withMappedLowers(options, usernsFd, mountIt, detach);
      return;
    }
    const { flags, propagation } = parseMountOptions(options);
    const all = flags | MountFlag.Bind;
    if (one.type !== 'bind') throw unimplemented(`mount ${one.type} on ${target}: ids mapped`);
    bindMapped(one.source, target, usernsFd, (all & MountFlag.Recursive) !== 0);
    await finish(target, all, propagation);
  } finally {
    close(usernsFd);
  }
}

/** What cannot be said in the first call. */
async function finish(target: string, all: number, propagation: number): Promise<void> {
  if (propagation) await mount('', target, '', propagation, '');
  if (all & MountFlag.Bind && all & BIND_NEEDS_REMOUNT) {
    await mount('', target, '', (all & ~MountFlag.Recursive) | MountFlag.Remount, '');
  }
}

/** umount2(2), on a thread of the pool since it may wait for data to be written. `flags` of {@link UnmountFlag}. */
export async function unmount(path: string, flags = 0): Promise<void> {
  await unmountCall({ syscall: 'umount2', path }, cString(path), flags);
}

/**
 * Unmounts everything mounted on or below `path`, the last mount first. What is busy is detached: it vanishes
 * from the tree at once and ends with its last user. Nothing mounted there, or no such path, is fine.
 */
export async function unmountRecursive(path: string): Promise<void> {
  const top = canonical(path);
  // A mount made later may hide an earlier one, so it has to go before it.
  const mounted = readMountInfo()
    .map((info) => info.mountPoint)
    .filter((mountPoint) => mountPoint === top || mountPoint.startsWith(`${top}/`))
    .reverse();
  for (const mountPoint of mounted) await unmountOrDetach(mountPoint);
}

async function unmountOrDetach(mountPoint: string): Promise<void> {
  try {
    await unmount(mountPoint, UnmountFlag.NoFollow);
  } catch (error) {
    if (isErrno(error, 'EINVAL', 'ENOENT')) return; // gone meanwhile, with a mount that held it
    if (!isErrno(error, 'EBUSY')) throw error;
    await unmount(mountPoint, UnmountFlag.NoFollow | UnmountFlag.Detach);
  }
}

/** mountinfo has real paths only. */
function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // a mount point whose server is gone cannot be looked at, but can be unmounted
  }
}
