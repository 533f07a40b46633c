import { failedPrecondition } from '@longshore/errors';
import { isErrno } from './errno.ts';
import { check, declare } from './libc.ts';
import { AT_FDCWD, close, OpenFlag, openat } from './open.ts';

/** The same number on every architecture; Linux 5.14. */
const SYS_QUOTACTL_FD = 443;

/** Source: linux/quota.h, linux/dqblk_xfs.h; ext4 answers to these too. */
const PROJECT = 2;
const Q_XGETQUOTA = 0x5803;
const Q_XSETQLIM = 0x5804;
const VERSION = 1;
const FS_PROJ_QUOTA = 2;
const BLOCK_LIMITS = (1 << 2) | (1 << 3);
const BLOCK_BYTES = 512n;
const QUOTA_BYTES = 112;

/** Source: linux/fs.h. */
const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;
const FS_XFLAG_PROJINHERIT = 0x200;
const XATTR_BYTES = 28;

/** Ids below are for those who give them out by hand. */
const FIRST_ID = 0x40000000;
const IDS = 0x3fffffff;

const quotactlCall = declare<[number, number, number, number, Buffer]>(
  'long syscall(long number, unsigned int fd, unsigned int command, unsigned int id, void *quota)',
);
const ioctlCall = declare<[number, number, Buffer]>(
  'int ioctl(int fd, unsigned long request, void *argument)',
);

/**
 * Makes a new, empty directory a project of its own, which may take so many bytes with all that will be in it; a write
 * beyond them fails with EDQUOT or ENOSPC. `seed`, a whole number, spreads the ids. Throws FailedPrecondition where the
 * file system keeps no quotas of projects: XFS and ext4 do, mounted with `prjquota`.
 */
export function limitProject(directory: string, seed: number, maxBytes: bigint): void {
  const fd = openat(AT_FDCWD, directory, OpenFlag.ReadOnly | OpenFlag.Directory);
  try {
    const id = freeId(fd, seed);
    const blocks = (maxBytes + BLOCK_BYTES - 1n) / BLOCK_BYTES;
    const quota = Buffer.alloc(QUOTA_BYTES);
    quota.writeInt8(VERSION, 0);
    quota.writeInt8(FS_PROJ_QUOTA, 1);
    quota.writeUInt16LE(BLOCK_LIMITS, 2);
    quota.writeUInt32LE(id, 4);
    quota.writeBigUInt64LE(blocks, 8);
    quota.writeBigUInt64LE(blocks, 16);
    quotactl(fd, Q_XSETQLIM, id, quota);
    const attributes = Buffer.alloc(XATTR_BYTES);
    check(ioctlCall(fd, FS_IOC_FSGETXATTR, attributes), 'ioctl', directory);
    attributes.writeUInt32LE((attributes.readUInt32LE(0) | FS_XFLAG_PROJINHERIT) >>> 0, 0);
    attributes.writeUInt32LE(id, 12);
    check(ioctlCall(fd, FS_IOC_FSSETXATTR, attributes), 'ioctl', directory);
  } catch (error) {
    if (!isErrno(error, 'ENOSYS', 'ESRCH', 'EINVAL', 'ENOTSUP', 'ENOTTY', 'EPERM')) throw error;
    const path = JSON.stringify(directory);
    throw failedPrecondition(`directory ${path}: its file system keeps no quotas of projects`, {
      cause: error,
    });
  } finally {
    close(fd);
  }
}

/** One that no file has: those of a removed project are free again. */
function freeId(fd: number, seed: number): number {
  for (let n = seed; ; n++) {
    const id = FIRST_ID + (n % IDS);
    const quota = Buffer.alloc(QUOTA_BYTES);
    try {
      quotactl(fd, Q_XGETQUOTA, id, quota);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return id;
      throw error;
    }
    if (quota.readBigUInt64LE(48) === 0n) return id;
  }
}

function quotactl(fd: number, command: number, id: number, quota: Buffer): void {
  check(quotactlCall(SYS_QUOTACTL_FD, fd, ((command << 8) | PROJECT) >>> 0, id, quota), 'quotactl');
}
