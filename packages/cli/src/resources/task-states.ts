import { isKind } from '@longshore/errors';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type Process, Status } from '@longshore/proto/containerd/v1/types/task';
import type { Calls } from '../calls.ts';

/** The answer of a call about something that may be gone, or never was: undefined then. */
export async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** The task of a container, if it has one. */
export async function taskOf(client: Calls, containerId: string): Promise<Process | undefined> {
  return (await ifThere(client.service(Tasks).get({ containerId })))?.process;
}

/** Whether processes of it are there, be they frozen. */
export function isAlive(task: Process | undefined): boolean {
  return task !== undefined && task.status !== Status.STOPPED && task.status !== Status.CREATED;
}
