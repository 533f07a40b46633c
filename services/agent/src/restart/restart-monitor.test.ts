import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LongshoreError } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { REMOVE_LABEL, Removal } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeptStdio } from '../stdio/kept-stdio.ts';
import { KEPT_LOG } from '../stdio/log-uri.ts';
import { SIGKILL, stopTask } from '../stop/stop-task.ts';
import { CALL, NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { RestartLabel } from './restart-labels.ts';
import { MonitoredNode } from './testing/monitored-node.ts';

const { Status, Policy, Count, ExplicitlyStopped, LogUri } = RestartLabel;
const RUNNING = { [Status]: 'running' };
const FOR_ONE_TASK = { [REMOVE_LABEL]: Removal.AfterExit };
const STAYS = ['sleep', '1000'];
const SHORT_MS = 50;
/** No test waits for it. */
const LONG_MS = 60_000;

let node: TaskFixture;
let monitored: MonitoredNode;

beforeEach(async () => {
  node = await TaskFixture.open();
  monitored = new MonitoredNode(node);
});

afterEach(async () => {
  await monitored.monitor?.close();
  await node.close();
});

const starts = (id: string) => expect.poll(() => monitored.starts(id), SOON);
const isRunning = async (id: string) => {
  await expect.poll(() => node.manager.running().map((task) => task.id), SOON).toContain(id);
  await starts(id).toBeGreaterThan(0);
};
const kill = (id: string) =>
  stopTask(node.manager.find(NAMESPACE, id)!, {
    signal: SIGKILL,
    graceMs: 0,
    abort: new AbortController().signal,
  });

describe('RestartMonitor', () => {
  it('starts what has no task when the node comes up, and what ended, and counts', async () => {
    monitored.add('web', STAYS, RUNNING);
    monitored.add('other', STAYS, {});
    monitored.watch(LONG_MS);
    await starts('web').toBe(1);
    await isRunning('web');
    await kill('web');
    // Soon, though the interval is long.
    await starts('web').toBe(2);
    expect(monitored.labelsOf('web')).toMatchObject({ [Count]: '2' });
    expect(node.manager.find(NAMESPACE, 'other')).toBeUndefined();
    expect(node.exits('web')).toHaveLength(1);
  });

  it('gives up after the retries of on-failure, and does nothing after an end without failure', async () => {
    monitored.add('fails', ['false'], { ...RUNNING, [Policy]: 'on-failure:2' });
    monitored.add('ends', ['true'], { ...RUNNING, [Policy]: 'on-failure:2' });
    await monitored.run('fails');
    await monitored.run('ends');
    monitored.watch(SHORT_MS);
    await expect.poll(() => node.exits('fails').length, SOON).toBe(3);
    await expect.poll(() => node.exits('ends').length, SOON).toBe(1);
    // Some more looks at both.
    monitored.add('last', ['true'], RUNNING);
    await starts('last').toBeGreaterThan(1);
    expect(node.exits('fails')).toHaveLength(3);
    expect(node.exits('ends')).toHaveLength(1);
    expect(monitored.labelsOf('fails')[Count]).toBe('2');
  });

  it('leaves alone what was stopped by hand, is paused, or was made and not started', async () => {
    const unless = { ...RUNNING, [Policy]: 'unless-stopped' };
    monitored.add('stopped', STAYS, unless);
    monitored.add('paused', STAYS, RUNNING);
    monitored.watch(LONG_MS);
    await isRunning('stopped');
    await isRunning('paused');
    await node.manager.find(NAMESPACE, 'paused')!.call('pause', {});
    monitored.label('stopped', { [ExplicitlyStopped]: 'true' });
    await kill('stopped');
    // Its maker is about to start it.
    monitored.add('made', STAYS, {});
    await node.manager.create(CALL, node.request('made'));
    monitored.label('made', RUNNING);
    // Looked at after all of these.
    await kill('paused');
    await starts('paused').toBe(2);
    expect(monitored.starts('stopped')).toBe(1);
    expect(monitored.starts('made')).toBe(0);
    expect(node.exits('made')).toEqual([]);
    monitored.label('stopped', { [ExplicitlyStopped]: 'false' });
    await starts('stopped').toBe(2);
  });

  it('ends and deletes what is to be stopped', async () => {
    monitored.add('web', STAYS, RUNNING);
    monitored.watch(LONG_MS);
    await isRunning('web');
    monitored.label('web', { [Status]: 'stopped' });
    await expect.poll(() => node.topics('web').at(-1), SOON).toBe('/tasks/delete');
    await expect.poll(() => node.manager.has(NAMESPACE, 'web'), SOON).toBe(false);
    expect(node.exits('web')).toMatchObject([{ exitStatus: 137 }]);
  });

  it('starts nothing while the node is cordoned, and goes on when that is over', async () => {
    monitored.isCordoned = true;
    monitored.add('web', STAYS, RUNNING);
    monitored.add('ends', STAYS, { [Status]: 'stopped' });
    await node.manager.create(CALL, node.request('ends'));
    monitored.watch(SHORT_MS);
    // Ending is not held back, and comes last.
    await expect.poll(() => node.manager.has(NAMESPACE, 'ends'), SOON).toBe(false);
    expect(monitored.starts('web')).toBe(0);
    monitored.isCordoned = false;
    await isRunning('web');
  });

  it('goes on while the control plane is away, and tells it the count afterwards', async () => {
    monitored.isAway = true;
    monitored.add('fails', ['false'], { ...RUNNING, [Policy]: 'on-failure:2' });
    await monitored.run('fails');
    monitored.watch(SHORT_MS);
    await expect.poll(() => node.exits('fails').length, SOON).toBe(3);
    expect(monitored.labelsOf('fails')[Count]).toBeUndefined();
    monitored.isAway = false;
    await expect.poll(() => monitored.labelsOf('fails')[Count], SOON).toBe('2');
    expect(node.exits('fails')).toHaveLength(3);
  });

  it('makes the task that an agent which ended had deleted and not made anew', async () => {
    monitored.add('web', STAYS, RUNNING);
    monitored.watch(LONG_MS);
    await isRunning('web');
    const deleted = Promise.withResolvers<void>();
    monitored.beforeCreate = () => {
      deleted.resolve();
      return new Promise(() => undefined);
    };
    await kill('web');
    await deleted.promise;
    await node.restart();
    monitored.beforeCreate = async () => undefined;
    monitored.watch(LONG_MS);
    await starts('web').toBe(2);
    await isRunning('web');
  });

  it('gives up what hangs, and whoever waits for it may leave', async () => {
    monitored.add('web', STAYS, RUNNING);
    const hanging = Promise.withResolvers<void>();
    monitored.beforeCreate = async ({ deadline }) => {
      hanging.resolve();
      if (!deadline) return new Promise(() => undefined);
      await delay(deadline.getTime() - Date.now());
      throw new LongshoreError('DeadlineExceeded', 'rootfs: deadline exceeded');
    };
    const monitor = monitored.watch(SHORT_MS, 500);
    await hanging.promise;
    const left = new AbortController();
    const held = monitor.hold({ namespace: NAMESPACE, id: 'web' }, left.signal, async () => 'held');
    left.abort(new Error('left'));
    await expect(held).rejects.toThrow('left');
    monitored.beforeCreate = async () => undefined;
    await isRunning('web');
  });

  it('slows down for what dies at its start', async () => {
    const ids = Array.from({ length: 4 }, (_, n) => `crash${n}`);
    for (const id of ids) monitored.add(id, ['false'], RUNNING);
    const began = performance.now();
    monitored.watch(200);
    await expect.poll(() => Math.min(...ids.map((id) => monitored.starts(id))), SOON).toBeGreaterThan(2);
    const passed = performance.now() - began;
    // At 0, then 0.1, 0.2, 0.4 s after the end of the one before.
    const most = Math.log2(passed / 100 + 1) + 1;
    for (const id of ids) expect(monitored.starts(id)).toBeLessThanOrEqual(most);
  });

  it('puts the output where the container says, and gives it a terminal if it wants one', async () => {
    const path = join(node.directory, 'out.log');
    monitored.add('logs', ['echo', 'said'], { ...RUNNING, [Policy]: 'always', [LogUri]: `file://${path}` });
    monitored.add('tty', ['sh', '-c', 'tty && sleep 1000'], RUNNING, { terminal: true });
    monitored.watch(LONG_MS);
    await expect.poll(() => existsSync(path) && readFileSync(path, 'utf8'), SOON).toContain('said\n');
    await isRunning('tty');
    expect(node.exits('tty')).toEqual([]);
  });

  it('goes on with the log that is kept of a container', async () => {
    const log = createLogger('test', 'silent');
    const { stateDir, rootDir } = node;
    const limits = { fileBytes: 1024 ** 2, files: 2 };
    const unused = { isDeleted: () => false, onDropped: () => undefined };
    using stdio = new KeptStdio({ stateDir, rootDir, limits, log, ...unused });
    await node.restart(undefined, { stdio });
    monitored.stdio = stdio;
    monitored.add('web', ['echo', 'said'], RUNNING);
    await monitored.run('web', { stdout: KEPT_LOG });
    monitored.watch(SHORT_MS);
    const said = () => {
      const { directory } = stdio.logOf(NAMESPACE, 'web')!;
      const lines = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
      return lines.join('').match(/said/g)?.length ?? 0;
    };
    await expect.poll(said, SOON).toBeGreaterThan(2);
    await monitored.monitor.close();
    // While its fifos are read.
    await node.close();
    node = await TaskFixture.open();
  });

  it('removes a container whose task has ended, or was deleted, by an earlier agent too', async () => {
    for (const id of ['ends', 'cut', 'deleted']) monitored.add(id, STAYS, FOR_ONE_TASK);
    for (const id of ['ends', 'cut', 'deleted']) await monitored.run(id);
    const last = monitored.watch(LONG_MS);
    await kill('ends');
    await expect.poll(() => monitored.removed, SOON).toEqual(['ends']);
    // It dies between the task and the container.
    const cut = Promise.withResolvers<void>();
    monitored.insteadOfRemoval = async () => {
      cut.resolve();
      throw new LongshoreError('Unavailable', 'killed');
    };
    await kill('cut');
    await cut.promise;
    await last.close();
    await kill('deleted');
    await node.restart();
    monitored.watch(LONG_MS);
    await expect.poll(() => monitored.removed.toSorted(), SOON).toEqual(['cut', 'deleted', 'ends']);
    expect(node.manager.list(NAMESPACE)).toEqual([]);
  });

  it('removes nothing before its log is read, its task started, or the control plane there again', async () => {
    monitored.add('read', STAYS, FOR_ONE_TASK);
    monitored.add('away', STAYS, FOR_ONE_TASK);
    monitored.add('waits', STAYS, FOR_ONE_TASK);
    monitored.add('restarts', STAYS, { ...FOR_ONE_TASK, ...RUNNING });
    for (const id of ['read', 'away']) await monitored.run(id);
    monitored.watch(SHORT_MS);
    const reader = monitored.readers.enter(NAMESPACE, 'read');
    await kill('read');
    await expect.poll(() => node.manager.has(NAMESPACE, 'read'), SOON).toBe(false);
    monitored.isAway = true;
    await kill('away');
    await expect.poll(() => node.manager.has(NAMESPACE, 'away'), SOON).toBe(false);
    await isRunning('restarts');
    await kill('restarts');
    await starts('restarts').toBe(2);
    expect(monitored.removed).toEqual([]);
    monitored.isAway = false;
    await expect.poll(() => monitored.removed, SOON).toEqual(['away']);
    reader[Symbol.dispose]();
    await expect.poll(() => monitored.removed, SOON).toEqual(['away', 'read']);
    expect(node.containers.has('waits')).toBe(true);
  });

  it('removes what nobody has started, after a while', async () => {
    monitored.add('absent', STAYS, FOR_ONE_TASK);
    monitored.add('created', STAYS, FOR_ONE_TASK);
    await node.manager.create(CALL, node.request('created'));
    monitored.watch(SHORT_MS, undefined, SHORT_MS);
    await expect.poll(() => monitored.removed.toSorted(), SOON).toEqual(['absent', 'created']);
    expect(node.manager.list(NAMESPACE)).toEqual([]);
  });
});
