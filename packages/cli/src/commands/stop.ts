import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import { type Define, examples } from '../command.ts';
import { durationOf, durationOption } from '../durations.ts';
import { findContainer } from '../resources/find-container.ts';
import { ifThere } from '../resources/task-states.ts';
import type { Session } from '../session.ts';
import { parseSignal } from '../signals.ts';

interface Options {
  time: number;
  signal?: number;
}

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .addOption(durationOption('-t, --time <duration>', 'how long to wait before SIGKILL', '10s'))
    .option('-s, --signal <signal>', "in place of the image's own stop signal, or SIGTERM", parseSignal)
    .action(session.action((names: string[], options: Options) => stop(session, names, options)));
  examples(
    command,
    ['Stop, with ten seconds to end in order', 'longshore stop web'],
    ['With a minute, by another signal', 'longshore stop -t 1m -s SIGQUIT web worker'],
  );
};

async function stop(session: Session, names: string[], { time, signal = 0 }: Options): Promise<void> {
  const client = await session.calls();
  await session.each(names, async (name) => {
    const found = await findContainer(client, name);
    const request = { containerId: found.record.id, grace: durationOf(time), signal };
    // One that does not run is stopped, as Docker sees it.
    await ifThere(found.client.service(TaskService).stop(request));
  });
}
