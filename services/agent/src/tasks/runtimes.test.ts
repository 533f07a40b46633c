import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { afterEach, describe, expect, it } from 'vitest';
import { startProcess } from './process-operations.ts';
import type { Task } from './task.ts';
import { CALL, containerOf, NAMESPACE, onPath, SOON, TaskFixture } from './task-fixture.testing.ts';
import { onUnifiedCgroups, script, shimOf23, withProgram } from './testing/installed-shim.ts';
import { testRuntimes } from './testing/test-runtimes.ts';

const FOREVER = ['sleep', '1000'];
const SHIM = 'containerd-shim-runc-v2';

let node: TaskFixture;

afterEach(async () => {
  await node.close();
});

const shims = {
  '1.6': async () => onPath(SHIM),
  '1.7': async () => (await testRuntimes()).shims['1.7'],
  '2.x': async () => (await testRuntimes()).shims['2.x'],
  'the bootstrap API of 2.3': async () => shimOf23((await testRuntimes()).shims['2.x']),
};

const versions: Record<keyof typeof shims, number> = {
  1.6: 2,
  1.7: 2,
  '2.x': 3,
  'the bootstrap API of 2.3': 3,
};

async function worksThroughItsLife(task: Task, env?: NodeJS.ProcessEnv): Promise<void> {
  const { id, record } = task;
  await node.exec(task, 'first', ['sh', '-c', 'exit 5']);
  expect((await task.call('wait', { execId: 'first' })).exitStatus).toBe(5);
  await node.restart(undefined, env ? { env } : {});
  const again = await node.manager.get(CALL, id);
  await node.exec(again, 'second', ['sh', '-c', 'exit 6']);
  expect((await again.call('wait', { execId: 'second' })).exitStatus).toBe(6);
  await again.call('kill', { signal: 9 });
  await expect
    .poll(() => node.exits(id).filter((exit) => exit.id === id), SOON)
    .toMatchObject([{ pid: record.pid, exitStatus: 137 }]);
  expect(await node.manager.delete(CALL, id)).toMatchObject({ exitStatus: 137 });
  expect(node.topics(id).filter((topic) => !topic.includes('exec'))).toEqual([
    '/tasks/create',
    '/tasks/start',
    '/tasks/exit(first)',
    '/tasks/exit(second)',
    '/tasks/exit',
    '/tasks/delete',
  ]);
}

describe.each(Object.keys(shims) as (keyof typeof shims)[])('the shim of containerd with %s', (version) => {
  it('runs containers, is found again, and leaves nothing, killed or not', async () => {
    const env = withProgram(SHIM, await shims[version]());
    node = await TaskFixture.open({ env });
    const task = await node.run('web', FOREVER);
    expect(task.bundle.bootstrap).toMatchObject({ version: versions[version], protocol: 'ttrpc' });
    await worksThroughItsLife(task, env);
    expect(node.leftovers()).toEqual([]);

    const killed = await node.run('web', FOREVER);
    process.kill(await node.shimPid(killed), 'SIGKILL');
    await killed.gone;
    expect(node.exits('web').filter(({ pid }) => pid === killed.record.pid)).toMatchObject([
      { exitStatus: 137 },
    ]);
    expect(node.leftovers()).toEqual([]);
  });
});

describe('a runtime', () => {
  it('may be crun, which wants cgroup v2 alone', async () => {
    const env = withProgram(SHIM, onUnifiedCgroups(onPath(SHIM)));
    node = await TaskFixture.open({ env });
    const value = toBinary(OptionsSchema, create(OptionsSchema, { binaryName: (await testRuntimes()).crun }));
    const options = { typeUrl: OptionsSchema.typeName, value };
    const task = await node.create('web', FOREVER, {}, { options });
    await startProcess(node.manager.context, task, '', CALL);
    expect(readFileSync(join(task.bundle.path, 'runtime'), 'utf8')).toMatch(/crun$/);
    await worksThroughItsLife(task, env);
  });

  it('may be any shim on PATH, with more in its environment', async () => {
    const name = 'containerd-shim-copy-v2';
    const env = { ...withProgram(name, onPath(SHIM)), LONGSHORE_TEST: 'under it' };
    node = await TaskFixture.open({ env, shimEnv: { LONGSHORE_TEST: 'a b' } });
    node.containers.set('web', containerOf('web', node.spec('web', FOREVER), 'io.containerd.copy.v2'));
    const task = await node.manager.create(CALL, node.request('web'));
    await startProcess(node.manager.context, task, '', CALL);
    expect(task.bundle.shimBinary).toMatch(name);
    const given = readFileSync(`/proc/${await node.shimPid(task)}/environ`, 'utf8').split('\0');
    expect(given).toEqual(expect.arrayContaining(['LONGSHORE_TEST=a b', `NAMESPACE=${NAMESPACE}`]));
    await worksThroughItsLife(task, env);
  });

  it.each([
    ['prints no address', 'echo; exit 0', /no address/],
    ['prints without end', 'head -c 10000000 /dev/zero; exit 0', /no address/],
    ['speaks of a version to come', `echo '{"version":4,"address":"unix:///x"}'`, /unsupported shim version/],
    ['fails', 'echo of its own accord >&2; exit 3', /of its own accord: exit status 3/],
    ['is no shim', 'kill -9 $$', /signal: SIGKILL/],
  ])('that %s fails the create, and leaves nothing', async (_what, words, message) => {
    node = await TaskFixture.open({ env: withProgram(SHIM, script(SHIM, words)) });
    await expect(node.create('web', FOREVER)).rejects.toMatchObject({
      message: expect.stringMatching(message),
    });
    expect(node.leftovers()).toEqual([]);
  });
});

describe('a bundle', () => {
  it("has containerd's files, with its modes, and ours", async () => {
    node = await TaskFixture.open();
    const { bundle } = await node.run('web', FOREVER);
    const made = ['config.json', 'rootfs', 'work', 'log', 'shim-binary-path', 'bootstrap.json'];
    const modes = Object.fromEntries(
      made.map((name) => [name, lstatSync(join(bundle.path, name)).mode.toString(8)]),
    );
    expect(modes).toEqual({
      'config.json': '100644',
      rootfs: expect.stringMatching(/^40/),
      work: '120777',
      log: '10700',
      'shim-binary-path': '100600',
      'bootstrap.json': '100644',
    });
    expect(lstatSync(bundle.path).mode & 0o777).toBe(0o700);
    for (const path of [join(bundle.path, '..'), bundle.workPath, join(bundle.workPath, '..')]) {
      expect(lstatSync(path).mode & 0o777, path).toBe(0o711);
    }
    const byShim = ['address', 'init.pid', 'log.json', 'options.json', 'runtime'];
    expect(readdirSync(bundle.path).sort()).toEqual([...made, ...byShim, 'cgroup', 'incarnation'].sort());
    expect(existsSync(join('/sys/fs/cgroup/pids', bundle.cgroup ?? ''))).toBe(true);
    expect(bundle.cgroup).toBe(`${node.cgroupParent}/${NAMESPACE}/web`);
  });
});
