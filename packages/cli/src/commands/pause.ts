import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type Define, examples } from '../command.ts';
import { findContainer } from '../resources/find-container.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .action(session.action((names: string[]) => pause(session, names)));
  examples(command, ['Freeze all processes of a container', 'longshore pause web']);
};

async function pause(session: Session, names: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(names, async (name) => {
    const { record, client: scoped } = await findContainer(client, name);
    await scoped.service(Tasks).pause({ containerId: record.id });
  });
}
