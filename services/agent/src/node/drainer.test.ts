import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LongshoreError } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { STOP_SIGNAL_LABEL } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { ownStopSignal } from '../stop/own-stop-signal.ts';
import { SIGTERM } from '../stop/stop-task.ts';
import { CALL, NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { admitting } from './admission.ts';
import { DeletingContainers } from './deleting-containers.ts';
import { Desired } from './desired.ts';
import { DesiredStore } from './desired-store.ts';
import { Drainer } from './drainer.ts';

const log = createLogger('test', 'silent');
const TRAPS = ['sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.05; done'];
const QUITS = ['sh', '-c', 'trap "exit 4" QUIT; touch /tmp/ready; while :; do sleep 0.05; done'];
/** The first process of a container ignores SIGTERM unless it says otherwise. */
const IGNORES = ['sleep', '1000'];

/** Of a node whose disk is gone with the test. */
function newDesired(): Desired {
  const store = new DesiredStore(':memory:', 'n1');
  onTestFinished(() => store[Symbol.dispose]());
  return new Desired('n1', store, log);
}

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(() => node.close());

const signalOf = ownStopSignal({ get: async (id) => node.containers.get(id)! });

describe('Drainer', () => {
  it('ends all tasks: by SIGTERM, and by SIGKILL after the grace time', async () => {
    const desired = newDesired();
    const drainer = new Drainer(node.manager, desired, signalOf, log);
    onTestFinished(() => drainer.close());
    await node.run('polite', TRAPS);
    await node.run('stubborn', IGNORES);
    await node.create('created', IGNORES);
    expect(node.manager.running()).toHaveLength(3);
    desired.take({ cordoned: true, draining: false });
    expect(node.manager.running()).toHaveLength(3);
    // The shell must have set its trap before it is asked to end.
    await expect.poll(() => node.topics('polite'), SOON).toContain('/tasks/start');
    desired.take({
      cordoned: true,
      draining: true,
      drainGrace: { $typeName: 'google.protobuf.Duration', seconds: 1n, nanos: 0 },
    });
    await expect.poll(() => node.manager.running(), SOON).toEqual([]);
    expect(node.exits('stubborn')).toMatchObject([{ exitStatus: 137 }]);
    expect([3, 143]).toContain(node.exits('polite')[0]?.exitStatus);
    // They stay for their callers to delete.
    expect(node.manager.list(NAMESPACE)).toHaveLength(3);
  });

  it("asks a container to end by the container's own signal", async () => {
    const desired = newDesired();
    const drainer = new Drainer(node.manager, desired, signalOf, log);
    onTestFinished(() => drainer.close());
    await node.run('quits', QUITS);
    node.containers.get('quits')!.labels[STOP_SIGNAL_LABEL] = 'SIGQUIT';
    await expect.poll(() => existsSync(join(node.directory, 'image/tmp/ready')), SOON).toBe(true);
    desired.take({
      cordoned: true,
      draining: true,
      drainGrace: { $typeName: 'google.protobuf.Duration', seconds: 600n, nanos: 0 },
    });
    await expect.poll(() => node.exits('quits'), SOON).toMatchObject([{ exitStatus: 4 }]);
  });
});

describe('a drain that is over before the grace time is', () => {
  const draining = (seconds: bigint) => ({
    cordoned: true,
    draining: true,
    drainGrace: { $typeName: 'google.protobuf.Duration' as const, seconds, nanos: 1_000_000 },
  });

  /** Ignores SIGTERM. */
  function stubborn() {
    const calls: string[] = [];
    const heard = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const call = async (method: string, request: { signal?: number }, options?: { signal: AbortSignal }) => {
      if (method !== 'state') calls.push(`${method} ${request.signal ?? ''}`);
      if (method !== 'wait') return {};
      heard.resolve();
      await new Promise((resolve) => options?.signal.addEventListener('abort', resolve));
      // An answer from another process comes later.
      await new Promise((resolve) => setImmediate(resolve));
      setImmediate(ended.resolve);
      throw new Error('cancelled');
    };
    return {
      task: { namespace: NAMESPACE, id: 'web', call },
      calls,
      heard: heard.promise,
      ended: ended.promise,
    };
  }

  it('kills nothing: it was called off', async () => {
    const { task, calls, heard, ended } = stubborn();
    const desired = newDesired();
    const drainer = new Drainer({ running: () => [task] } as never, desired, async () => SIGTERM, log);
    onTestFinished(() => drainer.close());
    desired.take(draining(600n));
    await heard;
    desired.take({ cordoned: false, draining: false });
    await ended;
    expect(calls).toEqual(['kill 15', 'wait ']);
  });

  it('kills nothing: the agent stops', async () => {
    const { task, calls, heard, ended } = stubborn();
    const desired = newDesired();
    const drainer = new Drainer({ running: () => [task] } as never, desired, async () => SIGTERM, log);
    desired.take(draining(600n));
    await heard;
    drainer.close();
    await ended;
    expect(calls).toEqual(['kill 15', 'wait ']);
  });
});

describe('a drain of a task whose shim says nothing', () => {
  /** Whoever asks without a limit waits for ever. */
  function silent() {
    const gone = Promise.withResolvers<object>();
    const calls: string[] = [];
    const call = async (method: string, _request: object, _options?: object, timeoutMs?: number) => {
      calls.push(method);
      if (timeoutMs === undefined) return new Promise(() => undefined);
      throw new LongshoreError('DeadlineExceeded', 'deadline exceeded');
    };
    const killShim = async () => gone.resolve({ pid: 0, exitStatus: 137 });
    const disconnect = async () => undefined;
    return { namespace: NAMESPACE, id: 'web', call, calls, killShim, disconnect, gone: gone.promise };
  }

  it('ends the shim after the grace time, and every heartbeat tries again what failed', async () => {
    const task = silent();
    const desired = newDesired();
    const drainer = new Drainer({ running: () => [task] } as never, desired, async () => SIGTERM, log);
    onTestFinished(() => drainer.close());
    const drain = { cordoned: true, draining: true };
    desired.take(drain);
    await expect(task.gone).resolves.toMatchObject({ exitStatus: 137 });
    const before = task.calls.length;
    await expect
      .poll(() => {
        desired.take(drain);
        return task.calls.length;
      }, SOON)
      .toBeGreaterThan(before);
  });
});

describe('a container that the fleet deletes', () => {
  it('gets no new task, and is confirmed once the last one is gone, however often the control plane fails', async () => {
    const confirmed: string[] = [];
    let failures = 2;
    const containers = {
      confirmDeleting: async ({ id }: { id?: string }) => {
        if (failures-- > 0) throw new Error('away');
        confirmed.push(id ?? '');
        return {};
      },
    };
    const deleting = new DeletingContainers({
      nodeId: 'n1',
      tasks: node.manager,
      containers: containers as never,
      log,
    });
    onTestFinished(() => deleting.close());
    const task = await node.run('web', IGNORES);
    const confirming = deleting.confirm(NAMESPACE, 'web');
    expect(deleting.confirm(NAMESPACE, 'web')).toBe(confirming);
    const tasks = admitting({ create: async () => ({}) }, newDesired(), deleting);
    const create = tasks.create!(node.request('web'), CALL as never);
    await expect(create).rejects.toThrow('container "web": is being deleted');
    await task.call('kill', { signal: 9 });
    await task.call('wait', {});
    expect(confirmed).toEqual([]);
    await node.manager.delete(CALL, 'web');
    await confirming;
    expect(confirmed).toEqual(['web']);
  });
});

describe('a task that has outlived its container', () => {
  it('is released once it is gone', async () => {
    const released: string[] = [];
    const containers = { releaseTask: async ({ id }: { id?: string }) => released.push(id ?? '') };
    const running = new Set(['default/a', 'default/b']);
    const tasks = { has: (namespace: string, id: string) => running.has(`${namespace}/${id}`) };
    const parts = { nodeId: 'n1', tasks: tasks as never, containers: containers as never, log };
    const deleting = new DeletingContainers(parts);
    onTestFinished(() => deleting.close());
    const kept = ['a', 'b'].map((id) => ({ namespace: 'default', id }));
    deleting.release(kept);
    running.delete('default/b');
    deleting.release(kept);
    expect(released).toEqual(['b']);
  });
});

describe('a cordoned node', () => {
  it('makes no tasks', async () => {
    const desired = newDesired();
    const deleting = { requireKept: () => undefined } as unknown as DeletingContainers;
    const tasks = admitting({ create: async () => ({ pid: 1 }) }, desired, deleting);
    await expect(tasks.create!(node.request('web'), CALL as never)).resolves.toEqual({ pid: 1 });
    desired.take({ cordoned: true, draining: false });
    await expect(tasks.create!(node.request('web'), CALL as never)).rejects.toThrow('node "n1" is cordoned');
  });
});
