import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALL, NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { freezeProcess } from '../tasks/testing/freeze-process.ts';
import { SIGKILL, SIGTERM, stopTask } from './stop-task.ts';

const TRAPS = ['sh', '-c', 'trap "exit 3" TERM; touch /tmp/ready; while :; do sleep 0.05; done'];
/** The first process of a container ignores SIGTERM unless it says otherwise. */
const IGNORES = ['sleep', '1000'];
/** More than a timer can wait for. */
const LONG_MS = 60 * 24 * 3_600_000;

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(() => node.close());

function options(signal: number, graceMs: number, abort = new AbortController().signal) {
  return { signal, graceMs, abort };
}

/** A task whose shell has set its trap. */
async function trapping(id: string) {
  const task = await node.run(id, TRAPS);
  await expect.poll(() => existsSync(join(node.directory, 'image/tmp/ready')), SOON).toBe(true);
  return task;
}

describe('stopTask', () => {
  it('lets a task end by the signal, with its own status, and kills it after the grace time', async () => {
    const polite = await stopTask(await trapping('polite'), options(SIGTERM, LONG_MS));
    expect(polite).toMatchObject({ killed: false, exit: { exitStatus: 3 } });
    const stubborn = await stopTask(await node.run('stubborn', IGNORES), options(SIGTERM, 50));
    expect(stubborn).toMatchObject({ killed: true, exit: { exitStatus: 137 } });
    const killed = await stopTask(await node.run('killed', IGNORES), options(SIGKILL, LONG_MS));
    expect(killed).toMatchObject({ killed: true, exit: { exitStatus: 137 } });
    // Nothing is left to do: how it ended is what is told.
    const again = await stopTask(node.manager.find(NAMESPACE, 'polite')!, options(SIGTERM, LONG_MS));
    expect(again).toMatchObject({ killed: false, exit: { exitStatus: 3 } });
  });

  it('ends a task that is paused', async () => {
    const task = await trapping('paused');
    await task.call('pause', {});
    expect(await stopTask(task, options(SIGTERM, LONG_MS))).toMatchObject({
      killed: false,
      exit: { exitStatus: 3 },
    });
  });

  it('leaves the task as it is when its caller has left before the grace time is over', async () => {
    const task = await node.run('left', IGNORES);
    const caller = new AbortController();
    const stopping = stopTask(task, options(SIGTERM, LONG_MS, caller.signal));
    caller.abort(new Error('left'));
    await expect(stopping).rejects.toThrow('left');
    expect((await task.call('state', {})).exitStatus).toBe(0);
    expect(node.exits('left')).toEqual([]);
  });

  it('ends the shim when that says nothing any more, and the container with it', async () => {
    const task = await node.run('silent', IGNORES);
    await freezeProcess(await node.shimPid(task));
    const stopped = await stopTask(task, options(SIGKILL, 0));
    expect(stopped).toMatchObject({ killed: true, exit: { exitStatus: 137 } });
    await expect.poll(() => node.exits('silent'), SOON).toMatchObject([{ exitStatus: 137 }]);
    await expect(node.manager.get(CALL, 'silent')).rejects.toMatchObject({ kind: 'NotFound' });
  });
});
