import { setImmediate } from 'node:timers/promises';
import { kindOf } from '@longshore/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addExec, killProcess } from './process-operations.ts';
import { CALL, SOON, TaskFixture } from './task-fixture.testing.ts';

const FOREVER = ['sleep', '1000'];

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

describe('a container that dies', () => {
  it('while processes are added to it: each either never was, or ends before it, once', async () => {
    const task = await node.run('web', FOREVER);
    let isDead = false;
    const outcomes: Record<string, string> = {};
    const add = async (worker: number) => {
      for (let n = 0; !isDead; n++) {
        const execId = `exec-${worker}-${n}`;
        outcomes[execId] = await node.exec(task, execId, FOREVER).then(() => 'OK', kindOf);
      }
    };
    const adding = [0, 1, 2].map(add);
    await expect.poll(() => Object.values(outcomes).length, SOON).toBeGreaterThan(3);
    await killProcess(task, { execId: '', signal: 9, all: false }, CALL);
    await task.call('wait', {});
    isDead = true;
    await Promise.all(adding);

    const kinds = new Set(Object.values(outcomes));
    expect(['OK', 'NotFound', 'FailedPrecondition', 'Unknown']).toEqual(expect.arrayContaining([...kinds]));
    await expect.poll(() => node.topics('web').at(-1), SOON).toBe('/tasks/exit');
    const topics = node.topics('web');
    for (const [execId, outcome] of Object.entries(outcomes)) {
      const exits = topics.filter((topic) => topic === `/tasks/exit(${execId})`);
      if (outcome === 'OK') expect(exits, execId).toHaveLength(1);
      else expect(exits.length, execId).toBeLessThanOrEqual(1);
    }
    expect(topics.filter((topic) => topic === '/tasks/exit')).toHaveLength(1);
    await node.manager.delete(CALL, 'web');
    expect(node.leftovers()).toEqual([]);
  });

  it('while it is deleted and killed by many: each is told that it is gone, or that it was done', async () => {
    const task = await node.run('web', FOREVER);
    await killProcess(task, { execId: '', signal: 9, all: false }, CALL);
    await task.call('wait', {});
    const deleting = [1, 2].map(() => node.manager.delete(CALL, 'web').then(() => 'OK', kindOf));
    const kinds = new Set<string>();
    while (node.manager.list(CALL.namespace).length > 0) {
      await setImmediate();
      kinds.add(
        await killProcess(task, { execId: '', signal: 15, all: true }, CALL).then(() => 'OK', kindOf),
      );
    }
    expect((await Promise.all(deleting)).sort()).toEqual(['NotFound', 'OK']);
    // runc has nothing against a signal to all of none.
    expect(['NotFound', 'OK']).toEqual(expect.arrayContaining([...kinds]));
  });

  it('while two delete it: one has it, whichever the shim answers first, and nothing more is added to it', async () => {
    const task = await node.run('web', ['sh', '-c', 'exit 3']);
    await task.call('wait', {});
    const call = task.call.bind(task);
    const late = Promise.withResolvers<void>();
    let asked = 0;
    task.call = (async (method, ...rest) => {
      const answer = call(method, ...rest);
      if (method === 'delete' && asked++ === 0) await late.promise;
      return answer;
    }) as typeof call;
    const deleting = [1, 2].map(() => node.manager.delete(CALL, 'web').then((exit) => exit, kindOf));
    await expect.poll(() => node.topics('web'), SOON).toContain('/tasks/delete');
    // For the shim to say of the second that there is no such task, if it is asked.
    await call('state', {}).catch(() => undefined);
    late.resolve();
    expect(await Promise.all(deleting)).toEqual([expect.objectContaining({ exitStatus: 3 }), 'NotFound']);

    const { context } = node.manager;
    const adding = addExec(context, task, node.execRequest('web', 'shell', {}), CALL);
    await expect(adding).rejects.toMatchObject({ kind: 'NotFound' });
    expect(context.journal.ofTask(task.record.incarnation).filter(({ ended }) => !ended)).toEqual([]);
  });

  it('at once, as do fifty: all are created, started, reported in order, and deleted', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `quick-${n}`);
    await Promise.all(
      ids.map(async (id) => {
        const task = await node.run(id, ['sh', '-c', 'exit 3']);
        await task.call('wait', {});
        expect(await node.manager.delete(CALL, id)).toMatchObject({ exitStatus: 3 });
      }),
    );
    for (const id of ids) {
      expect(node.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    }
    expect(node.leftovers()).toEqual([]);
  });
});
