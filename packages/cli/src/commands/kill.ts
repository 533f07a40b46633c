import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Option } from 'commander';
import { type Define, examples } from '../command.ts';
import { findContainer } from '../resources/find-container.ts';
import type { Session } from '../session.ts';
import { parseSignal } from '../signals.ts';

interface Options {
  signal: number;
  all?: boolean;
}

const SIGKILL = 9;

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .addOption(
      new Option('-s, --signal <signal>', 'name or number')
        .argParser(parseSignal)
        .default(SIGKILL, 'SIGKILL'),
    )
    .option('-a, --all', 'to every process of the container, not the first alone')
    .action(session.action((names: string[], options: Options) => kill(session, names, options)));
  examples(
    command,
    ['End at once', 'longshore kill web'],
    ['Have it read its configuration again', 'longshore kill -s HUP web'],
  );
};

async function kill(session: Session, names: string[], { signal, all = false }: Options): Promise<void> {
  const client = await session.calls();
  await session.each(names, async (name) => {
    const { record, client: scoped } = await findContainer(client, name);
    await scoped.service(Tasks).kill({ containerId: record.id, signal, all });
  });
}
