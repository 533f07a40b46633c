import { isKind } from '@longshore/errors';

/**
 * What the owner of records answers, or, when it cannot be reached or cannot say, what was last known; its error when
 * nothing was. For what the door of the node socket does not answer itself.
 */
export async function orLastKnown<T>(ask: () => Promise<T>, lastKnown: () => T | undefined): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isKind(error, 'Unavailable', 'DeadlineExceeded')) throw error;
    const last = lastKnown();
    if (last === undefined) throw error;
    return last;
  }
}
