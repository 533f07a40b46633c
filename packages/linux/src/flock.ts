import { isErrno } from './errno.ts';
import { check, declare } from './libc.ts';

/** Operations of flock(2). Source: linux/fcntl.h. */
const OPERATION = { shared: 1, exclusive: 2, unlock: 8 } as const;
const LOCK_NB = 4;

const flockCall = declare<[number, number]>('int flock(int fd, int operation)');

/**
 * Takes a lock that belongs to the open file, without waiting: false when another open file holds it.
 * It ends when the descriptor, and every copy that a child inherited, is closed; so a crash frees it.
 */
export function tryFlock(fd: number, kind: 'shared' | 'exclusive'): boolean {
  try {
    check(flockCall(fd, OPERATION[kind] | LOCK_NB), 'flock');
    return true;
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return false;
    throw error;
  }
}

export function unlockFlock(fd: number): void {
  check(flockCall(fd, OPERATION.unlock), 'flock');
}
