import { messageOf } from '@longshore/errors';
import type { Bundle } from './bundle.ts';
import type { TaskContext } from './task-context.ts';

/** One step of a clean-up: what it fails with is logged, since those behind it have work of their own. Never rejects. */
export async function cleanUpStep<T>(
  { log }: Pick<TaskContext, 'log'>,
  { namespace, id }: Bundle,
  failure: string,
  step: () => T | Promise<T>,
): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    log.error({ namespace, id, error: messageOf(error) }, failure);
    return undefined;
  }
}
