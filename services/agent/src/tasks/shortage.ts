import { isErrno } from '@longshore/linux';

/**
 * True when something failed for want of descriptors or memory, which all processes of this node need: that says nothing
 * of what it was tried with.
 */
export function isShortage(error: unknown): boolean {
  if (isErrno(error, 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS')) return true;
  return error instanceof Error && error.cause !== undefined && isShortage(error.cause);
}
