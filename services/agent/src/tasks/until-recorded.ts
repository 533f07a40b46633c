import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import { isStorageError } from './storage-error.ts';
import type { TaskContext } from './task-context.ts';

/** For somebody to make room on the disk. */
const RETRY_MS = 1_000;

/**
 * Records what has happened already, and cannot be refused any more: as often as it takes while the disk is full. It
 * must be safe to repeat. Fails with what the disk said when the manager closes; then it is for the next agent to find.
 */
export async function untilRecorded({ log, closing }: TaskContext, record: () => void): Promise<void> {
  for (;;) {
    try {
      return record();
    } catch (error) {
      if (!isStorageError(error) || closing.aborted) throw error;
      log.error({ error: messageOf(error) }, 'events of a task cannot be recorded yet');
    }
    await delay(RETRY_MS, undefined, { signal: closing }).catch(() => undefined);
  }
}
