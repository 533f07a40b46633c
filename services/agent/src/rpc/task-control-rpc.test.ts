import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { STOP_SIGNAL_LABEL } from '@longshore/oci';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RestartLabel } from '../restart/restart-labels.ts';
import { MonitoredNode } from '../restart/testing/monitored-node.ts';
import { NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { taskControlRpc } from './task-control-rpc.ts';
import { served } from './testing/served.ts';

const { Status, Policy, ExplicitlyStopped } = RestartLabel;
const RUNNING = { [Status]: 'running' };
const IGNORES = ['sleep', '1000'];
const QUITS = ['sh', '-c', 'trap "sleep 0.3; exit 4" QUIT; touch /tmp/ready; while :; do sleep 0.05; done'];
const LONG_MS = 60_000;
const HEADERS = { headers: { 'containerd-namespace': NAMESPACE } };
const grace = (seconds: bigint, nanos = 0) => ({ grace: { seconds, nanos } });
const AT_ONCE = grace(0n, 1_000_000);

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

async function client() {
  const restarts = monitored.watch(LONG_MS);
  const { labels, lookup: containers, log } = monitored;
  return served(TaskService, taskControlRpc({ tasks: node.manager, containers, labels, restarts, log }));
}

const started = (id: string, times = 1) => expect.poll(() => monitored.starts(id), SOON).toBe(times);

describe('TaskService.Stop', () => {
  it('stops a container by its own signal, for good whatever restarts it, and deletes its task', async () => {
    monitored.add('always', QUITS, { ...RUNNING, [STOP_SIGNAL_LABEL]: 'SIGQUIT' });
    monitored.add('unless', IGNORES, { ...RUNNING, [Policy]: 'unless-stopped' });
    const tasks = await client();
    await started('always');
    await started('unless');
    await expect.poll(() => existsSync(join(node.directory, 'image/tmp/ready')), SOON).toBe(true);
    const request = { containerId: 'always', delete: true, ...grace(60n) };
    expect(await tasks.stop(request, HEADERS)).toMatchObject({ exitStatus: 4, killed: false });
    expect(node.manager.find(NAMESPACE, 'always')).toBeUndefined();
    expect(await tasks.stop({ containerId: 'unless', ...AT_ONCE }, HEADERS)).toMatchObject({
      exitStatus: 137,
      killed: true,
    });
    expect(monitored.labelsOf('always')).toMatchObject({ [ExplicitlyStopped]: 'true', [Status]: 'stopped' });
    expect(monitored.labelsOf('unless')).toMatchObject({ [ExplicitlyStopped]: 'true', [Status]: 'running' });
    // What a monitor that has just come up makes of these labels.
    monitored.add('last', IGNORES, RUNNING);
    await monitored.monitor.close();
    monitored.watch(LONG_MS);
    await started('last');
    expect([monitored.starts('always'), monitored.starts('unless')]).toEqual([1, 1]);
  });

  it('refuses what cannot be', async () => {
    const tasks = await client();
    const stop = (request: object) => tasks.stop({ containerId: 'web', ...request }, HEADERS);
    await expect(stop({})).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(stop({ signal: 65 })).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(stop(grace(-1n))).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });
});

describe('TaskService.StopAll', () => {
  it('stops all tasks at the same time, restarts none, and says how many', async () => {
    for (const id of ['a', 'b', 'c'])
      monitored.add(id, IGNORES, { ...RUNNING, [STOP_SIGNAL_LABEL]: 'SIGKILL' });
    const tasks = await client();
    for (const id of ['a', 'b', 'c']) await started(id);
    await expect.poll(() => node.manager.running().length, SOON).toBe(3);
    expect(await tasks.stopAll(grace(60n))).toMatchObject({ stopped: 3, killed: 3, failed: [] });
    expect(node.manager.running()).toEqual([]);
    for (const id of ['a', 'b', 'c']) expect(node.exits(id)).toMatchObject([{ exitStatus: 137 }]);
  });
});
