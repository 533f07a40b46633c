import { type Labels, REMOVE_LABEL, RESTART_STATUS_LABEL, Removal } from '@longshore/oci';
import type { TaskStatus } from '../restart/restart-policy.ts';

/** For whoever made a container to make and start its task: a pull is over by then, networks take seconds. Then nobody will. */
export const UNSTARTED_MS = 10 * 60_000;

export interface SeenTask {
  status: TaskStatus;
  /** For how long it was seen so. */
  forMs: number;
  /** One was seen, whether it is there yet or not. */
  hasBeen: boolean;
}

/** Whether a container is there for one task alone. Whoever asks for restarts too, by an older control plane, gets those. */
export function isForOneTask(labels: Labels): boolean {
  return labels[REMOVE_LABEL] !== undefined && !labels[RESTART_STATUS_LABEL];
}

/**
 * What is to be done about a container that is there for one task alone: `end` its task, which is over, or `remove` the container. Undefined:
 * nothing yet.
 */
export function wantedRemoval(
  labels: Labels,
  { status, forMs, hasBeen }: SeenTask,
  unstartedMs = UNSTARTED_MS,
): 'end' | 'remove' | undefined {
  if (status === 'stopped') return 'end';
  if (status === 'created') return forMs >= unstartedMs ? 'end' : undefined;
  if (status !== 'absent') return undefined;
  return hasBeen || labels[REMOVE_LABEL] === Removal.Due || forMs >= unstartedMs ? 'remove' : undefined;
}
