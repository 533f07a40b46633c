import { failedPrecondition } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type Process, Status } from '@longshore/proto/containerd/v1/types/task';
import type { Calls } from '../calls.ts';
import { type Define, examples } from '../command.ts';
import { type FoundContainer, findContainer } from '../resources/find-container.ts';
import { ifThere, isAlive, taskOf } from '../resources/task-states.ts';
import { UnreachableError } from '../resources/unreachable.ts';
import type { Session } from '../session.ts';

interface Options {
  force?: boolean;
  keepSnapshot?: boolean;
}

const SIGKILL = 9;

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .option('-f, --force', 'also one that runs, which is killed; also one that is not there')
    .option('--keep-snapshot', 'leave its file system, until a collection finds that nothing refers to it')
    .action(session.action((names: string[], options: Options) => rm(session, names, options)));
  examples(
    command,
    ['One that has ended', 'longshore rm web'],
    ['All that have ended', 'longshore rm $(longshore ps -aq -f status=exited)'],
    ['One that runs', 'longshore rm -f web'],
  );
};

async function rm(session: Session, names: string[], options: Options): Promise<void> {
  const client = await session.calls();
  await session.each(names, (name) => {
    const removal = remove(session, client, name, options);
    return options.force ? ifThere(removal) : removal;
  });
}

async function remove(session: Session, client: Calls, name: string, options: Options): Promise<void> {
  let found: FoundContainer;
  try {
    found = await findContainer(client, name);
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    // The fleet marks it, and its node removes it when it is back.
    await client.service(Containers).delete({ id: name });
    session.note(`longshore: container "${name}": its node does not answer; it goes when that is back`);
    return;
  }
  const { record, client: scoped } = found;
  const task = await taskOf(scoped, record.id);
  if (isAlive(task) && !options.force) throw runs(record.id);
  if (task) await endTask(scoped, record.id, task);
  if (record.snapshotKey && !options.keepSnapshot) {
    await ifThere(
      scoped.service(Snapshots).remove({ snapshotter: record.snapshotter, key: record.snapshotKey }),
    );
  }
  await scoped.service(Containers).delete({ id: record.id });
}

async function endTask(client: Calls, containerId: string, task: Process): Promise<void> {
  const tasks = client.service(Tasks);
  if (task.status !== Status.STOPPED) {
    await ifThere(tasks.kill({ containerId, signal: SIGKILL, all: true }));
    // A frozen process dies when it goes on.
    if (task.status === Status.PAUSED || task.status === Status.PAUSING) {
      await tasks.resume({ containerId }).catch(() => undefined);
    }
    await ifThere(tasks.wait({ containerId }));
  }
  await ifThere(tasks.delete({ containerId }));
}

function runs(id: string): Error {
  const hint = `"longshore stop ${id}" ends it in order; "longshore rm -f ${id}" at once.`;
  return Object.assign(failedPrecondition(`container "${id}": it runs`), { hint });
}
