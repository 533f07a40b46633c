import { messageOf } from '@longshore/errors';
import type { Ctr } from './ctr.ts';
import { until } from './until.ts';

/** All of it: ending everything must not take longer than 10 s. */
const TIMEOUT_MS = 2500;
const TERM_TIMEOUT_MS = 1000;

interface Task {
  namespace: string;
  id: string;
}

/**
 * Ends every task of the node in order, so that their exits are recorded: SIGTERM, after a second SIGKILL. Says so when
 * that did not work in 2.5 s; who calls this then ends them the hard way.
 */
export async function endTasks(ctr: Ctr, say: (line: string) => void): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const list = async (...args: string[]) => (await ctr.must(args, { signal })).split('\n').filter(Boolean);
  const kill = (tasks: Task[], name: string) =>
    Promise.all(
      tasks.map(({ namespace, id }) =>
        ctr.run(['-n', namespace, 'task', 'kill', '-s', name, id], { signal }),
      ),
    );
  const runningTasks = async (): Promise<Task[]> => {
    const namespaces = await list('namespaces', 'ls', '-q');
    const lists = namespaces.map(async (namespace) => {
      const lines = await list('-n', namespace, 'tasks', 'ls');
      return lines
        .filter((line) => line.includes('RUNNING'))
        .map((line) => ({ namespace, id: line.split(/\s/)[0] ?? '' }));
    });
    return (await Promise.all(lists)).flat();
  };
  try {
    const tasks = await runningTasks();
    if (tasks.length === 0) return;
    say(`ending ${tasks.map(({ id }) => id).join(', ')}`);
    await kill(tasks, 'SIGTERM');
    if (await until(async () => (await runningTasks()).length === 0, TERM_TIMEOUT_MS)) return;
    await kill(await runningTasks(), 'SIGKILL');
    await until(async () => (await runningTasks()).length === 0, TERM_TIMEOUT_MS);
  } catch (error) {
    say(`tasks could not be ended in order: ${messageOf(error)}`);
  }
}
