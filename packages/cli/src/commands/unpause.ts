import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type Define, examples } from '../command.ts';
import { findContainer } from '../resources/find-container.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  command
    .argument('<container...>', 'ids, or beginnings of ids')
    .action(session.action((names: string[]) => unpause(session, names)));
  examples(command, ['Let a frozen container go on', 'longshore unpause web']);
};

async function unpause(session: Session, names: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(names, async (name) => {
    const { record, client: scoped } = await findContainer(client, name);
    await scoped.service(Tasks).resume({ containerId: record.id });
  });
}
