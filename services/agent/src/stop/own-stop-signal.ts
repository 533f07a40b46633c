import { parseSignal, STOP_SIGNAL_LABEL } from '@longshore/oci';
import type { ContainerLookup } from '../tasks/task-context.ts';
import { SIGTERM } from './stop-task.ts';

/** For a control plane that must be asked: the task is to end whether it answers or not. */
const LOOKUP_TIMEOUT_MS = 5_000;

/** The signal that asks a container to end. */
export type StopSignalOf = (task: { namespace: string; id: string }) => Promise<number>;

/** The container's own signal, else SIGTERM; also when nobody knows of its record. Never rejects. */
export function ownStopSignal(containers: ContainerLookup): StopSignalOf {
  return async ({ namespace, id }) => {
    const deadline = new Date(Date.now() + LOOKUP_TIMEOUT_MS);
    const container = await containers.get(id, { namespace, deadline }).catch(() => undefined);
    return parseSignal(container?.labels[STOP_SIGNAL_LABEL] ?? '') ?? SIGTERM;
  };
}
