import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { EventSpool } from '../../spool/event-spool.ts';
import { CALL, containerOf, NAMESPACE, SOON, TaskFixture } from '../task-fixture.testing.ts';
import type { KillStep } from './kill-at.ts';
import type { ManagerSettings } from './manager-main.ts';

const FOREVER = ['sleep', '1000'];
const MAIN = fileURLToPath(new URL('./manager-main.ts', import.meta.url));
const KILL_AT = new URL('./kill-at.ts', import.meta.url).href;

/** Topics of one life in the order in which they may come; those of execs before the exit of their task. */
const ORDER = [
  '/tasks/create',
  '/tasks/start',
  '/tasks/exec-added',
  '/tasks/exec-started',
  '/tasks/exit(shell)',
  '/tasks/exit',
  '/tasks/delete',
];

/** Runs a manager that dies at a step of a task's life. */
async function runUntilKilled(node: TaskFixture, step: KillStep): Promise<void> {
  const settings: ManagerSettings = {
    directory: node.directory,
    namespace: NAMESPACE,
    cgroupParent: node.cgroupParent,
    spec: node.spec('web', FOREVER),
    image: join(node.directory, 'image'),
  };
  const file = join(node.directory, 'manager.json');
  writeFileSync(file, JSON.stringify(settings));
  const args = ['--import', `${KILL_AT}?${encodeURIComponent(step)}`, MAIN, file];
  const victim = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  expect(await once(victim, 'exit')).toEqual([null, 'SIGKILL']);
}

/** What the victim has recorded is part of the task's story. */
function takeOver(node: TaskFixture): void {
  using spool = new EventSpool(join(node.rootDir, 'spool.db'));
  node.events.push(...spool.unsent(1_000));
}

async function endAll(node: TaskFixture): Promise<void> {
  const state = () => node.manager.find(NAMESPACE, 'web')?.state ?? 'gone';
  await expect.poll(() => node.manager.has(NAMESPACE, 'web') === (state() === 'live'), SOON).toBe(true);
  const task = node.manager.find(NAMESPACE, 'web');
  if (!task) return;
  // Ended already, as the step may be.
  await task.call('kill', { signal: 9, all: true }).catch(() => undefined);
  await task.call('wait', {});
  await node.manager.delete(CALL, 'web');
}

/**
 * Has an agent die at a step, and the next one go on: nothing is left of the task, each of its events is there at most once and
 * in order, with the right status, and its id can be used again.
 */
export async function expectSuccessorGoesOn(step: KillStep): Promise<void> {
  const node = await TaskFixture.open();
  node.containers.set('web', containerOf('web', node.spec('web', FOREVER)));
  await node.restart(async () => {
    await runUntilKilled(node, step);
    takeOver(node);
  });
  await endAll(node);
  await expect.poll(() => node.leftovers(), SOON).toEqual([]);

  const topics = node.topics('web');
  expect(topics).toEqual(ORDER.filter((topic) => topics.includes(topic)));
  if (topics.includes('/tasks/create')) expect(topics.at(-1)).toBe('/tasks/delete');
  const exits = Object.fromEntries(node.exits('web').map((exit) => [exit.id, exit.exitStatus]));
  if (exits.shell !== undefined) expect(exits.shell).toBe(3);
  if (exits.web !== undefined) expect(exits.web).toBe(137);

  await node.run('web', FOREVER);
  await node.close();
}
