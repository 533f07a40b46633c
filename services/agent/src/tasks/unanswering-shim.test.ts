import { messageOf } from '@longshore/errors';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killProcess, processState } from './process-operations.ts';
import { killUnanswering } from './remove-task.ts';
import type { Task } from './task.ts';
import { CALL, NAMESPACE, SOON, TaskFixture } from './task-fixture.testing.ts';
import { freezeProcess } from './testing/freeze-process.ts';
import { isRunning } from './testing/is-running.ts';

const FOREVER = ['sleep', '1000'];

let node: TaskFixture;
let frozen: Task;
let shimPid: number;

beforeEach(async () => {
  node = await TaskFixture.open();
  frozen = await node.run('frozen', FOREVER);
  await node.run('other', FOREVER);
  shimPid = await node.shimPid(frozen);
});

afterEach(async () => {
  if (isRunning(shimPid)) process.kill(shimPid, 'SIGCONT');
  await node.close();
});

/** What `tasks.List` does. */
const states = () => {
  const { manager } = node;
  return Promise.all(manager.list(NAMESPACE).map((task) => processState(manager.context, task, '', CALL)));
};

function expectEndedOnce(): void {
  expect(node.exits('frozen')).toMatchObject([{ pid: frozen.record.pid, exitStatus: 137 }]);
  expect(node.topics('frozen')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  expect([shimPid, frozen.record.pid].filter(isRunning)).toEqual([]);
  expect(node.leftovers().filter((left) => left.includes('frozen'))).toEqual([]);
}

describe('a shim that does not answer', () => {
  it('holds nobody else up, and can be ended with what it holds', async () => {
    await freezeProcess(shimPid);
    const asked = performance.now();
    expect(await states()).toMatchObject([
      { id: 'frozen', status: Status.UNKNOWN },
      { id: 'other', status: Status.RUNNING },
    ]);
    expect(performance.now() - asked).toBeLessThan(2_500);
    expect(await killUnanswering(frozen)).toMatchObject({ exitStatus: 137 });
    expectEndedOnce();
  });

  it('is waited for by a new agent, which is at work meanwhile, and then ended', async () => {
    const began = performance.now();
    await node.restart(() => freezeProcess(shimPid), { recovery: { loadMs: 200, unansweringMs: 2_000 } });
    expect(performance.now() - began).toBeLessThan(1_500);
    const found = await node.manager.get(CALL, 'frozen');
    expect(found.state).toBe('unanswering');
    await expect(node.manager.create(CALL, node.request('frozen'))).rejects.toMatchObject({
      kind: 'AlreadyExists',
    });
    await node.exec(await node.manager.get(CALL, 'other'), 'shell', ['true']);
    expect(await found.gone).toMatchObject({ exitStatus: 137 });
    expectEndedOnce();
  });

  it('is ended at once when its task is to be killed by SIGKILL', async () => {
    await node.restart(() => freezeProcess(shimPid), { recovery: { loadMs: 200, unansweringMs: 60_000 } });
    const found = await node.manager.get(CALL, 'frozen');
    await killProcess(found, { execId: '', signal: 9, all: false }, CALL);
    expectEndedOnce();
  });

  it('and does in time has its task as if nothing had been', async () => {
    await node.restart(() => freezeProcess(shimPid), { recovery: { loadMs: 200, unansweringMs: 60_000 } });
    const found = await node.manager.get(CALL, 'frozen');
    const deleting = node.manager.delete(CALL, 'frozen').then(() => '', messageOf);
    process.kill(shimPid, 'SIGCONT');
    await expect.poll(() => found.state, SOON).toBe('live');
    expect(await deleting).toMatch(/cannot delete a running process/);
    expect(node.exits('frozen')).toEqual([]);
    expect(isRunning(frozen.record.pid)).toBe(true);
  });

  it('is left as it is by an agent that closes', async () => {
    await node.restart(() => freezeProcess(shimPid), { recovery: { loadMs: 200, unansweringMs: 60_000 } });
    await node.restart(async () => void process.kill(shimPid, 'SIGCONT'));
    expect(await states()).toMatchObject([
      { id: 'frozen', status: Status.RUNNING },
      { id: 'other', status: Status.RUNNING },
    ]);
    expect(node.exits('frozen')).toEqual([]);
  });
});
