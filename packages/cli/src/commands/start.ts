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
import { DEFAULT_DETACH_KEYS } from '../terminal/detach-keys.ts';
import { UsageError } from '../usage-error.ts';
import type { AttachOptions } from './start/start-attached.ts';

interface Options extends AttachOptions {
  attach?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .option('-a, --attach', 'stay with it: its output comes here, signals to this command go to it')
    .option('-i, --interactive', 'stay with it, and give it this standard input')
    .option('--no-sig-proxy', 'with -a: keep signals to this command from it')
    .option('--detach-keys <keys>', 'with -i: let go of it by these keys', DEFAULT_DETACH_KEYS)
    .action(session.action((names: string[], options: Options) => start(session, names, options)));
  examples(
    command,
    [
      'Run a stopped container once more; its output is kept by its node',
      'longshore start web && longshore logs -f web',
    ],
    ['Back into a shell that has ended', 'longshore start -ai shell'],
  );
};

async function start(session: Session, names: string[], options: Options): Promise<void> {
  if (options.attach || options.interactive) return attach(session, names, options);
  const client = await session.calls();
  await session.each(names, async (name) => {
    const { record, client: scoped } = await findContainer(client, name);
    await startContainer(scoped, record);
  });
}

async function attach(session: Session, names: string[], options: Options): Promise<void> {
  const [name = '', ...others] = names;
  if (others.length > 0) throw new UsageError('start: only one container can be attached to');
  const [{ startAttached }, client] = await Promise.all([
    import('./start/start-attached.ts'),
    session.client(),
  ]);
  const { record, client: scoped } = await findContainer(client, name);
  await startAttached(session, await scoped.container(record.id), options);
}

/** One that runs already is left alone. */
async function startContainer(client: Calls, record: Container): Promise<void> {
  const containerId = record.id;
  const tasks = client.service(Tasks);
  const task = await taskOf(client, containerId);
  if (task?.status === Status.STOPPED) await tasks.delete({ containerId });
  if (task === undefined || task.status === Status.STOPPED) {
    const terminal = specOf(record)?.process?.terminal ?? false;
    await client.service(StdioService).create({ containerId, terminal, stdin: terminal });
  } else if (task.status !== Status.CREATED) {
    return;
  }
  await tasks.start({ containerId });
}
