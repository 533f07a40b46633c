import type { TaskTarget } from './task-target.ts';

/**
 * Throws FailedPrecondition when the container's output is not kept. A log that is followed may be silent for long: whether
 * there is one is to be said before.
 */
export async function requireLog({ id: containerId, call, stdio }: TaskTarget): Promise<void> {
  for await (const _ of stdio.logs({ containerId, tail: 0n }, call)) break;
}
