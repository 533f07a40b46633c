import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killProcess, startProcess } from './process-operations.ts';
import { killUnanswering } from './remove-task.ts';
import type { Task } from './task.ts';
import { CALL, containerOf, NAMESPACE, onPath, SOON, TaskFixture } from './task-fixture.testing.ts';
import { isRunning } from './testing/is-running.ts';

const FOREVER = ['sleep', '1000'];

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
  hang('nothing');
  const script = `#!/bin/sh
case " $* " in *" $(cat ${join(node.directory, 'hang')}) "*) touch ${mark()}; exec sleep 1000;; esac
exec ${onPath('runc')} "$@"
`;
  writeFileSync(join(node.directory, 'runc'), script);
  chmodSync(join(node.directory, 'runc'), 0o755);
});

afterEach(async () => {
  hang('nothing');
  await node.close();
});

const mark = () => join(node.directory, 'hangs');

/** From now on runc hangs in this of its commands. */
function hang(command: string): void {
  writeFileSync(join(node.directory, 'hang'), command);
}

function make(call: Parameters<typeof node.manager.create>[0] = CALL): Promise<Task> {
  node.containers.set('web', containerOf('web', node.spec('web', FOREVER)));
  const value = toBinary(OptionsSchema, create(OptionsSchema, { binaryName: join(node.directory, 'runc') }));
  return node.manager.create(
    call,
    node.request('web', { options: { typeUrl: OptionsSchema.typeName, value } }),
  );
}

async function run(): Promise<Task> {
  const task = await make();
  await startProcess(node.manager.context, task, '', CALL);
  return task;
}

const soon = (ms = 500) => ({ ...CALL, deadline: new Date(Date.now() + ms) });

describe('a runtime that hangs', () => {
  it('in a create: what was made goes when the caller gives up, and the id is free', async () => {
    hang('create');
    await expect(make(soon())).rejects.toThrow();
    expect(node.leftovers()).toEqual([]);

    const leaving = new AbortController();
    const making = make({ ...CALL, signal: leaving.signal });
    await expect.poll(() => existsSync(mark()), SOON).toBe(true);
    leaving.abort();
    await expect(making).rejects.toMatchObject({ kind: 'Canceled' });
    expect(node.leftovers()).toEqual([]);

    hang('nothing');
    await run();
    await expect.poll(() => node.topics('web').slice(-2), SOON).toEqual(['/tasks/create', '/tasks/start']);
  });

  it('in a kill or a delete for a while: it can be tried again', async () => {
    const task = await run();
    hang('kill');
    const kill = { execId: '', signal: 9, all: false };
    // The deadline is the shim's too, which may be the first to tell what became of its runc.
    await expect(killProcess(task, kill, soon())).rejects.toThrow();
    hang('delete');
    await killProcess(task, kill, CALL);
    await task.call('wait', {});
    await expect(node.manager.delete(soon(), 'web')).rejects.toThrow();
    hang('nothing');
    expect(await node.manager.delete(CALL, 'web')).toMatchObject({ exitStatus: 137 });
    expect(node.leftovers()).toEqual([]);
    expect(node.exits('web')).toHaveLength(1);
  });

  it('in a delete for ever: the container is ended without it', async () => {
    const task = await run();
    hang('delete');
    expect(await killUnanswering(task)).toMatchObject({ exitStatus: 255 });
    expect(isRunning(task.record.pid)).toBe(false);
    expect(node.leftovers()).toEqual([]);
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(node.manager.list(NAMESPACE)).toEqual([]);
  });
});
