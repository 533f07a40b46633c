import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupHierarchies, cgroupState } from '@longshore/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALL, NAMESPACE, SOON, TaskFixture } from './task-fixture.testing.ts';
import { isRunning } from './testing/is-running.ts';

const FOREVER = ['sleep', '1000'];

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

/** Freezes a process at a container's path, as the death of all that knew of a paused one leaves it. */
async function leaveFrozen(path: string): Promise<ChildProcess> {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const freezer = cgroupHierarchies().find((hierarchy) => hierarchy.endsWith('/freezer'));
  const [root, file, value] = freezer
    ? [freezer, 'freezer.state', 'FROZEN']
    : [cgroupHierarchies()[0]!, 'cgroup.freeze', '1'];
  mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, path, 'cgroup.procs'), String(child.pid));
  writeFileSync(join(root, path, file), value);
  await expect.poll(() => cgroupState(path), SOON).toBe('frozen');
  return child;
}

describe('a frozen cgroup', () => {
  it('of a paused container whose shim is killed goes with it', async () => {
    const task = await node.run('web', FOREVER);
    const shimPid = await node.shimPid(task);
    await task.call('pause', {});
    process.kill(shimPid, 'SIGKILL');
    expect(await task.gone).toMatchObject({ exitStatus: 137 });
    expect(isRunning(task.record.pid)).toBe(false);
    expect(node.leftovers()).toEqual([]);
    expect(node.exits('web')).toHaveLength(1);
  });

  it('that was left behind makes room for a new container at its path', async () => {
    const path = `${node.cgroupParent}/${NAMESPACE}/web`;
    const child = await leaveFrozen(path);
    const task = await node.run('web', FOREVER);
    await expect.poll(() => isRunning(child.pid!), SOON).toBe(false);
    expect(cgroupState(path)).toBe('running');
    expect(await task.call('state', {})).toMatchObject({ pid: task.record.pid });
  });

  it('of a paused container is not taken from it by another at the same path', async () => {
    const task = await node.run('web', FOREVER);
    await task.call('pause', {});
    const linux = { ...(node.spec('web', FOREVER) as { linux: object }).linux };
    await node.create('other', FOREVER, { linux }).catch(() => undefined);
    expect(isRunning(task.record.pid)).toBe(true);
    await task.call('resume', {}).catch(() => undefined);
    await task.call('kill', { signal: 9, all: true }, CALL);
  });
});
