import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALL, NAMESPACE, SOON, TaskFixture } from './task-fixture.testing.ts';
import { isRunning } from './testing/is-running.ts';

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  node.isDiskFull = false;
  await node.close();
});

const FOREVER = ['sleep', '1000'];

describe('while the disk takes no events', () => {
  it('an agent that starts leaves containers as they are, and tells later what they did', async () => {
    const task = await node.run('web', FOREVER);
    const shell = await node.exec(task, 'shell', FOREVER);
    await expect.poll(() => node.topics('web'), SOON).toContain('/tasks/exec-started');
    await node.restart(async () => {
      process.kill(shell, 'SIGKILL');
      await expect.poll(() => isRunning(shell), SOON).toBe(false);
      node.isDiskFull = true;
    });
    await expect.poll(() => node.refused, SOON).toBeGreaterThan(0);
    expect(node.manager.list(NAMESPACE)).toMatchObject([{ id: 'web', state: 'live' }]);
    expect(isRunning(task.record.pid)).toBe(true);
    node.isDiskFull = false;
    await expect.poll(() => node.exits('web'), SOON).toMatchObject([{ id: 'shell', exitStatus: 137 }]);
  });

  it('a shim that is killed has its container ended, and its exit told later', async () => {
    const task = await node.run('web', FOREVER);
    await expect.poll(() => node.topics('web'), SOON).toContain('/tasks/start');
    node.isDiskFull = true;
    process.kill(await node.shimPid(task), 'SIGKILL');
    await expect.poll(() => node.refused, SOON).toBeGreaterThan(0);
    expect(isRunning(task.record.pid)).toBe(false);
    node.isDiskFull = false;
    expect(await task.gone).toMatchObject({ exitStatus: 137 });
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(node.leftovers()).toEqual([]);
  });

  it('a deletion that its shim has done is finished when it does', async () => {
    const task = await node.run('web', ['sh', '-c', 'exit 3']);
    await task.call('wait', {});
    await expect.poll(() => node.topics('web'), SOON).toContain('/tasks/exit');
    node.isDiskFull = true;
    const deleting = node.manager.delete(CALL, 'web');
    deleting.catch(() => undefined);
    await expect.poll(() => node.refused, SOON).toBeGreaterThan(2);
    node.isDiskFull = false;
    expect(await deleting).toMatchObject({ exitStatus: 3 });
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(node.leftovers()).toEqual([]);
  });
});
