import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeCgroup, unmountRecursive } from '@longshore/linux';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deleteExec, processState } from './process-operations.ts';
import { CALL, NAMESPACE, SOON, TaskFixture } from './task-fixture.testing.ts';
import { isRunning } from './testing/is-running.ts';

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

const FOREVER = ['sleep', '1000'];
const PLUGIN = 'io.containerd.runtime.v2.task';

const startTime = (pid: number) => execFileSync('stat', ['-c', '%Y', `/proc/${pid}`], { encoding: 'utf8' });

describe('a restarted agent', () => {
  it('finds a running task as it was, and can work with it', async () => {
    const { pid } = (await node.run('web', FOREVER)).record;
    const started = startTime(pid);
    await node.restart();
    const task = await node.manager.get(CALL, 'web');
    expect(await processState(node.manager.context, task, '')).toMatchObject({ pid, status: Status.RUNNING });
    expect(startTime(pid)).toBe(started);
    await node.exec(task, 'shell', ['sh', '-c', 'exit 5']);
    expect((await task.call('wait', { execId: 'shell' })).exitStatus).toBe(5);
    await task.call('kill', { signal: 15, all: true });
    await task.call('kill', { signal: 9 });
    await expect.poll(() => node.exits('web').filter(({ id }) => id === 'web'), SOON).toHaveLength(1);
    await node.manager.delete(CALL, 'web');
    expect(node.topics('web').filter((topic) => topic === '/tasks/start')).toHaveLength(1);
  });

  it('reports an exit that nobody was there to take, once', async () => {
    const { pid } = (await node.run('web', FOREVER)).record;
    await node.restart(async () => {
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => isRunning(pid), SOON).toBe(false);
    });
    await expect.poll(() => node.exits('web'), SOON).toMatchObject([{ pid, exitStatus: 137 }]);
    await node.restart();
    // The shim sends again what the first agent did not take, within a second of its failure.
    const task = await node.manager.get(CALL, 'web');
    expect(await processState(node.manager.context, task, '')).toMatchObject({ status: Status.STOPPED });
    await node.run('other', ['true']);
    await expect.poll(() => node.exits('other'), SOON).toHaveLength(1);
    expect(node.exits('web')).toHaveLength(1);
    expect(await node.manager.delete(CALL, 'web')).toMatchObject({ pid, exitStatus: 137 });
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('reports the exits of execs before that of their task', async () => {
    const task = await node.run('web', FOREVER);
    const shell = await node.exec(task, 'shell', FOREVER);
    await node.restart(async () => {
      process.kill(task.record.pid, 'SIGKILL');
      await expect.poll(() => isRunning(shell) || isRunning(task.record.pid), SOON).toBe(false);
    });
    await expect
      .poll(() => node.topics('web').slice(-2), SOON)
      .toEqual(['/tasks/exit(shell)', '/tasks/exit']);
    const again = await node.manager.get(CALL, 'web');
    // At the time that the shim saw, not that of the agent which asked.
    const ends = await Promise.all(['shell', ''].map((execId) => again.call('state', { execId })));
    expect(node.exits('web').map(({ exitedAt }) => exitedAt)).toEqual(ends.map(({ exitedAt }) => exitedAt));
    expect(ends[0]?.exitedAt?.nanos).toBeGreaterThan(0);
    await deleteExec(node.manager.context, again, 'shell', CALL);
  });

  it('finds a task that was made and not started', async () => {
    await node.create('web', FOREVER);
    await node.restart();
    const task = await node.manager.get(CALL, 'web');
    expect(await processState(node.manager.context, task, '')).toMatchObject({ status: Status.CREATED });
    await expect.poll(() => node.topics('web'), SOON).toEqual(['/tasks/create']);
    await task.call('kill', { signal: 9 });
    await expect.poll(() => node.topics('web'), SOON).toEqual(['/tasks/create', '/tasks/exit']);
  });

  it('cleans up after a shim that died meanwhile', async () => {
    const task = await node.run('web', FOREVER);
    const shimPid = await node.shimPid(task);
    await node.restart(async () => {
      process.kill(shimPid, 'SIGKILL');
      await expect.poll(() => isRunning(shimPid), SOON).toBe(false);
    });
    expect(node.manager.list(NAMESPACE)).toEqual([]);
    // The node is at work meanwhile; what the container has mounted is in use until then.
    expect(node.manager.ids(NAMESPACE)).toEqual(['web']);
    await expect.poll(() => node.leftovers(), SOON).toEqual([]);
    expect(node.manager.has(NAMESPACE, 'web')).toBe(false);
    expect(node.exits('web')).toMatchObject([{ pid: task.record.pid, exitStatus: 137 }]);
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(isRunning(task.record.pid)).toBe(false);
  });

  it('reports tasks whose bundles went with a reboot, and removes what they left on disk', async () => {
    const task = await node.run('web', FOREVER);
    const shimPid = await node.shimPid(task);
    await node.restart(async () => {
      for (const pid of [shimPid, task.record.pid]) process.kill(pid, 'SIGKILL');
      await expect.poll(() => isRunning(shimPid) || isRunning(task.record.pid), SOON).toBe(false);
      await unmountRecursive(task.bundle.rootfsPath);
      await removeCgroup(`${node.cgroupParent}/${NAMESPACE}`);
      rmSync(task.bundle.bootstrap!.address.replace('unix://', ''));
      rmSync(node.stateDir, { recursive: true });
    });
    expect(node.exits('web')).toMatchObject([{ pid: task.record.pid, exitStatus: 255 }]);
    expect(node.topics('web').at(-1)).toBe('/tasks/delete');
    await expect.poll(() => node.leftovers(), SOON).toEqual([]);
    await node.restart();
    expect(node.exits('web')).toHaveLength(1);
  });

  it('does not take a task for gone whose bundle it cannot read, and finds it when it can', async () => {
    const { bundle, record } = await node.run('web', FOREVER);
    const [file, kept] = ['incarnation', 'kept'].map((name) => join(bundle.path, name)) as [string, string];
    await node.restart(async () => {
      renameSync(file, kept);
      mkdirSync(file);
    });
    expect(node.exits('web')).toEqual([]);
    expect(isRunning(record.pid)).toBe(true);
    await node.restart(async () => {
      rmdirSync(file);
      renameSync(kept, file);
    });
    expect(node.manager.list(NAMESPACE)).toMatchObject([{ id: 'web', state: 'live' }]);
  });

  it('works with a shim whose log is gone', async () => {
    const { bundle, record } = await node.run('web', FOREVER);
    await node.restart(async () => rmSync(bundle.logPath));
    expect(node.manager.list(NAMESPACE)).toMatchObject([{ id: 'web', state: 'live' }]);
    expect(isRunning(record.pid)).toBe(true);
  });

  it('removes bundles that were never finished, and nothing of tasks that live', async () => {
    const task = await node.run('web', FOREVER);
    await node.restart(async () => {
      for (const name of ['empty', '.removed']) mkdirSync(join(node.stateDir, PLUGIN, NAMESPACE, name));
      mkdirSync(join(node.rootDir, PLUGIN, NAMESPACE, 'orphan'));
      writeFileSync(join(node.rootDir, PLUGIN, NAMESPACE, 'orphan', 'file'), '');
      writeFileSync(join(node.rootDir, PLUGIN, NAMESPACE, 'web', 'file'), '');
    });
    const { bundle } = task;
    await expect
      .poll(() => node.leftovers().filter((path) => path.includes(PLUGIN)), SOON)
      .toEqual([bundle.rootfsPath, bundle.path, bundle.workPath, bundle.logPath]);
    expect(existsSync(join(bundle.workPath, 'file'))).toBe(true);
  });
});

describe('a shim that is killed', () => {
  it('ends its task with exit status 137, once, and leaves nothing', async () => {
    const task = await node.run('web', FOREVER);
    const shell = await node.exec(task, 'shell', FOREVER);
    const waiting = task.call('wait', {});
    const deleting = waiting.catch(() => node.manager.delete(CALL, 'web'));
    process.kill(await node.shimPid(task), 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ kind: 'Unknown', message: 'ttrpc: closed: unknown' });
    expect(await deleting).toMatchObject({ exitStatus: 137 });
    expect(node.exits('web')).toMatchObject([
      { id: 'shell', pid: shell, exitStatus: 137 },
      { id: 'web', pid: task.record.pid, exitStatus: 137 },
    ]);
    expect(node.topics('web').at(-1)).toBe('/tasks/delete');
    expect(node.leftovers()).toEqual([]);
    expect(isRunning(task.record.pid)).toBe(false);
    await expect(node.manager.get(CALL, 'web')).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('does not change how a task that had exited ended', async () => {
    const task = await node.run('web', ['sh', '-c', 'exit 3']);
    await task.call('wait', {});
    await expect.poll(() => node.exits('web'), SOON).toHaveLength(1);
    process.kill(await node.shimPid(task), 'SIGKILL');
    await task.gone;
    expect(node.exits('web')).toMatchObject([{ exitStatus: 3 }]);
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('frees the id: a create that comes meanwhile waits for it', async () => {
    const task = await node.run('web', FOREVER);
    process.kill(await node.shimPid(task), 'SIGKILL');
    await expect.poll(() => task.state, SOON).toBe('leaving');
    const again = await node.run('web', FOREVER);
    expect(again.record.pid).not.toBe(task.record.pid);
    expect(node.exits('web')).toHaveLength(1);
  });
});
