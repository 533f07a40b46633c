import { type Container, keptIo, streams, type Task } from '@longshore/client';
import { failedPrecondition, isKind } from '@longshore/errors';
import type { Session } from '../../session.ts';
import { stayWith } from '../../terminal/foreground.ts';
import { outputsOf } from '../../terminal/outputs.ts';
import { startFailure } from '../../terminal/start-failure.ts';
import { openInput } from '../../terminal/typed-input.ts';

export interface AttachOptions {
  interactive?: boolean;
  sigProxy: boolean;
  detachKeys: string;
}

/** Starts a container that does not run and stays with it, as `run` does: this command then ends with its exit code. */
export async function startAttached(
  session: Session,
  container: Container,
  { interactive = false, sigProxy, detachKeys }: AttachOptions,
): Promise<void> {
  const { host } = session;
  const { process } = await container.spec();
  const terminal = process?.terminal ?? false;
  await removeEnded(container);
  using input = openInput(host, { interactive, terminal, detachKeys });
  const made = await container.newTask(keptIo({ stdin: interactive || terminal, terminal }));
  const task = await attached(
    container,
    made,
    streams({ stdin: input.stream, ...outputsOf(host), terminal }),
  );
  session.keepSignals();
  const status = await stayWith(task, {
    host,
    terminal,
    forwardsSignals: sigProxy && !terminal,
    detached: input.detached,
    start: () => orDelete(task, () => task.start()),
  });
  if (status) session.exitCode = status.code;
  else task.io?.close();
}

/** Throws FailedPrecondition for one that runs. */
async function removeEnded(container: Container): Promise<void> {
  let ended: Task;
  try {
    ended = await container.task();
  } catch (error) {
    if (isKind(error, 'NotFound')) return;
    throw error;
  }
  const { state } = await ended.status();
  if (state !== 'stopped' && state !== 'created') {
    const hint = `"longshore attach ${container.id}" joins it.`;
    throw Object.assign(failedPrecondition(`container "${container.id}": it is ${state}`), { hint });
  }
  await ended.delete();
}

function attached(container: Container, made: Task, io: ReturnType<typeof streams>): Promise<Task> {
  return orDelete(made, () => container.task({ io }));
}

/** What does not run leaves the container as it was. */
async function orDelete<T>(task: Task, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await task.delete({ kill: true }).catch(() => undefined);
    throw startFailure(error);
  }
}
