import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CALL, NAMESPACE, onPath, TaskFixture } from './task-fixture.testing.ts';

const FOREVER = ['sleep', '1000'];
const PLUGIN = 'io.containerd.runtime.v2.task';
const ALL = 1_000;
/** Of them, those that had a shim: a process or two for each. */
const WITH_SHIM = 12;
const AT_ONCE = 4;

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

/** Runs the shim, and notes how many of it run. */
function countingShim(): string {
  const path = join(node.directory, 'counting-shim');
  const running = join(node.directory, 'running');
  mkdirSync(running);
  const script = `#!/bin/sh
: > ${running}/$$
ls ${running} | wc -l >> ${running}.counts
${onPath('containerd-shim-runc-v2')} "$@"
code=$?
rm ${running}/$$
exit $code
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}

function leaveBundle(n: number, shim: string): void {
  const id = `stale-${n}`;
  const bundle = join(node.stateDir, PLUGIN, NAMESPACE, id);
  const work = join(node.rootDir, PLUGIN, NAMESPACE, id);
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  mkdirSync(work, { recursive: true });
  symlinkSync(work, join(bundle, 'work'));
  const spec = JSON.stringify(node.spec(id, FOREVER));
  const files: Record<string, string> = { 'config.json': spec, 'shim-binary-path': shim };
  if (n < WITH_SHIM) {
    files.incarnation = id;
    files.runtime = 'runc';
    files['bootstrap.json'] = JSON.stringify({
      version: 2,
      address: `unix://${join(node.directory, id)}`,
      protocol: 'ttrpc',
    });
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(bundle, name), content);
}

it('a thousand bundles left behind are removed, a few at a time, while the node is at work', async () => {
  const running = await node.run('running', FOREVER);
  let began = 0;
  await node.restart(async () => {
    const shim = countingShim();
    for (let n = 0; n < ALL; n++) leaveBundle(n, shim);
    began = performance.now();
  });
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(node.manager.ids(NAMESPACE).length).toBeGreaterThan(ALL / 2);
  const { pid } = running.record;
  expect((await node.manager.get(CALL, 'running')).record.pid).toBe(pid);

  // As soon as the old one is removed.
  await node.run(`stale-${WITH_SHIM - 1}`, FOREVER);
  await expect.poll(() => node.manager.ids(NAMESPACE).length, { timeout: 60_000, interval: 50 }).toBe(2);
  for (const id of ['running', `stale-${WITH_SHIM - 1}`]) {
    const task = await node.manager.get(CALL, id);
    await task.call('kill', { signal: 9 });
    await task.call('wait', {});
    await node.manager.delete(CALL, id);
  }
  expect(node.leftovers()).toEqual([]);

  const counts = readFileSync(join(node.directory, 'running.counts'), 'utf8').trim().split('\n').map(Number);
  expect(counts).toHaveLength(WITH_SHIM);
  expect(Math.max(...counts)).toBeLessThanOrEqual(AT_ONCE);
});
