import { isKind } from '@longshore/errors';

/** Of every error of `node:sqlite`. */
const SQLITE = 'ERR_SQLITE_ERROR';

/**
 * True when this node's own disk took no more, or gave an error: that says nothing of the task which it happened with, and what
 * was to be written can be written later.
 */
export function isStorageError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return isKind(error, 'ResourceExhausted') || (error as NodeJS.ErrnoException).code === SQLITE;
}
