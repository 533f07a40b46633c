import { readFile } from 'node:fs/promises';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { type Define, examples } from '../command.ts';
import { addOutputOptions, formatOf, type OutputOptions } from '../output/output-options.ts';
import { show, type View } from '../output/show.ts';
import { findContainer } from '../resources/find-container.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  addOutputOptions(command.argument('<container>', 'id, or beginning of an id')).action(
    session.action((name: string, options: OutputOptions) => top(session, name, options)),
  );
  examples(
    command,
    [
      'Its processes, as the host sees them; on the node itself with their command lines',
      'longshore top web',
    ],
    ['The pids alone', 'longshore top -q web'],
  );
};

interface ShownProcess {
  pid: number;
  /** Of an exec process, as it was asked for. */
  execId: string;
  parent: number | null;
  user: number | null;
  state: string;
  command: string;
}

async function top(session: Session, name: string, options: OutputOptions): Promise<void> {
  const { record, client } = await findContainer(await session.calls(), name);
  const { processes } = await client.service(Tasks).listPids({ containerId: record.id });
  const { anyToJson } = await import('@longshore/proto');
  // At a gateway's own socket too the kernel that knows these pids may be another machine's.
  const isHere = client.isLocal && client.node === undefined;
  const shown = processes.map(async ({ pid, info }): Promise<ShownProcess> => {
    const details = (info && anyToJson(info)) as { exec_id?: string } | undefined;
    const seen = isHere ? await processOf(pid) : UNSEEN;
    return { pid, execId: details?.exec_id ?? '', ...seen };
  });
  await show(session, await Promise.all(shown), isHere ? VIEW : REMOTE_VIEW, options);
  if (!isHere && formatOf(options) === 'table') {
    session.note(
      `longshore: what they are is told on the node itself, or by "longshore exec ${record.id} ps"`,
    );
  }
}

const UNSEEN = { parent: null, user: null, state: '', command: '' };

/** As this machine's kernel tells; nothing of a process that has ended meanwhile, or that is another machine's. */
async function processOf(pid: number): Promise<Omit<ShownProcess, 'pid' | 'execId'>> {
  try {
    const [status, line] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    const field = (key: string) => new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const command = line.split('\0').join(' ').trim() || `[${field('Name')}]`;
    return { parent: Number(field('PPid')), user: Number(field('Uid')), state: field('State'), command };
  } catch {
    return UNSEEN;
  }
}

const VIEW: View<ShownProcess> = {
  columns: [
    { header: 'PID', value: ({ pid }) => String(pid) },
    { header: 'PPID', value: ({ parent }) => String(parent ?? '') },
    { header: 'UID', value: ({ user }) => String(user ?? '') },
    { header: 'STATE', value: ({ state }) => state },
    { header: 'EXEC', value: ({ execId }) => execId },
    { header: 'COMMAND', value: ({ command }) => command, shrinks: true },
  ],
  name: ({ pid }) => String(pid),
  document: ({ pid, execId, parent, user, state, command }) => ({
    pid,
    parent_pid: parent,
    uid: user,
    state,
    exec_id: execId || null,
    command,
  }),
};

const REMOTE_VIEW: View<ShownProcess> = {
  ...VIEW,
  columns: VIEW.columns.filter(({ header }) => header === 'PID' || header === 'EXEC'),
};
