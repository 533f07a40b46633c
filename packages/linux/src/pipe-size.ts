import { check, declare } from './libc.ts';

const fcntlCall = declare<[number, number, number]>('int fcntl(int fd, int command, int value)');

/** Source: linux/fcntl.h. */
const F_SETPIPE_SZ = 1031;

/**
 * Makes a pipe or fifo hold at least so many bytes, and answers how many it holds. Throws EPERM above
 * `/proc/sys/fs/pipe-max-size` for those who are not root, EBUSY when it holds more already, EBADF for what is no pipe.
 */
export function setPipeSize(fd: number, bytes: number): number {
  return check(fcntlCall(fd, F_SETPIPE_SZ, bytes), 'fcntl');
}
