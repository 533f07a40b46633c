import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import type { Calls } from '../calls.ts';
import { type Define, examples } from '../command.ts';
import { findContainer } from '../resources/find-container.ts';
import { specOf } from '../resources/spec.ts';
import { taskOf } from '../resources/task-states.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .action(session.action((names: string[]) => start(session, names)));
  examples(command, [
    'Run a stopped container once more; its output is kept by its node',
    'longshore start web && longshore logs -f web',
  ]);
};

async function start(session: Session, names: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(names, async (name) => {
    const { record, client: scoped } = await findContainer(client, name);
    await startContainer(scoped, record);
  });
}

/** One that runs already is left alone. */
async function startContainer(client: Calls, record: Container): Promise<void> {
  const containerId = record.id;
  const tasks = client.service(Tasks);
  const task = await taskOf(client, containerId);
  if (task?.status === Status.STOPPED) await tasks.delete({ containerId });
  if (task === undefined || task.status === Status.STOPPED) {
    const terminal = specOf(record)?.process?.terminal ?? false;
    await client.service(StdioService).create({ containerId, terminal });
  } else if (task.status !== Status.CREATED) {
    return;
  }
  await tasks.start({ containerId });
}
