import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { create } from '@bufbuild/protobuf';
import { kindOf, messageOf } from '@longshore/errors';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processState, startProcess } from './process-operations.ts';
import type { Task } from './task.ts';
import { CALL, containerOf, SOON, TaskFixture } from './task-fixture.testing.ts';
import { HOSTILE_SPECS, specText } from './testing/hostile-specs.ts';

let node: TaskFixture;
let bystander: Task;
let before: string[];

beforeAll(async () => {
  node = await TaskFixture.open();
  bystander = await node.run('bystander', ['sleep', '1000']);
  before = node.leftovers();
});
afterAll(() => node?.close());

/** Makes a container of the spec, and runs it to its end when that works. */
async function attempt(id: string, spec: string, io: object): Promise<string> {
  const value = Buffer.from(spec);
  const container = create(ContainerSchema, {
    id,
    runtime: { name: 'io.containerd.runc.v2' },
    spec: { typeUrl: JsonTypeUrl.Spec, value },
  });
  node.containers.set(id, container);
  try {
    const task = await node.manager.create(CALL, node.request(id, io));
    expect(task.bundle.cgroup?.startsWith(`${node.cgroupParent}/`)).toBe(true);
    const started = await startProcess(node.manager.context, task, '', CALL).then(() => '', words);
    // One that was not started is ended by its delete.
    const exit = started === '' ? await task.call('wait', {}) : undefined;
    await node.manager.delete(CALL, id);
    return started || `exit ${exit?.exitStatus}`;
  } catch (error) {
    return words(error);
  } finally {
    node.containers.delete(id);
  }
}

const words = (error: unknown) => `${kindOf(error)}: ${messageOf(error)}`;

describe('a spec that is wrong, huge, or means harm', () => {
  it.each(Object.keys(HOSTILE_SPECS))(
    '%s: refused in clear words, or runs; nothing is left',
    async (name) => {
      const hostile = HOSTILE_SPECS[name]!;
      const image = join(node.directory, 'image');
      const id = `hostile-${Object.keys(HOSTILE_SPECS).indexOf(name)}`;
      const text = specText(hostile, node.spec(id, ['true']), image);
      const outcome = attempt(id, text, hostile.io ?? {});
      const states = [processState(node.manager.context, bystander, '')];
      const said = (await outcome).slice(0, 600);
      expect(said).toMatch(hostile.said);
      states.push(processState(node.manager.context, bystander, ''));
      expect((await Promise.all(states)).map(({ status }) => status)).toEqual([
        Status.RUNNING,
        Status.RUNNING,
      ]);
      await expect.poll(() => node.leftovers().toSorted(), SOON).toEqual(before.toSorted());
      expect(existsSync(join(image, 'bin/busybox'))).toBe(true);
      expect(readdirSync(image).toSorted()).toEqual(['bin', 'dev', 'proc', 'tmp']);
    },
  );

  it('a hook that hangs: goes with the create that its caller gives up', async () => {
    const hook = { path: '/bin/sleep', args: ['sleep', `1000.${process.pid}`] };
    node.containers.set(
      'hung',
      containerOf('hung', node.spec('hung', ['true'], { hooks: { createRuntime: [hook] } })),
    );
    const leaving = new AbortController();
    const making = node.manager.create({ ...CALL, signal: leaving.signal }, node.request('hung'));
    const hangs = () => isCalled(hook.args.join(' '));
    await expect.poll(hangs, SOON).toBe(true);
    leaving.abort();
    await expect(making).rejects.toMatchObject({ kind: 'Canceled' });
    await expect.poll(hangs, SOON).toBe(false);
    await expect.poll(() => node.leftovers().toSorted(), SOON).toEqual(before.toSorted());
  });

  it('huge ones: their memory comes back', async () => {
    const text = JSON.stringify(node.spec('huge', ['true'], { x: 'y'.repeat(15 * 1024 ** 2) }));
    const used = () => {
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    await attempt('huge', text, {});
    const before = used();
    expect(await attempt('huge', text, {})).toBe('exit 0');
    expect(used() - before).toBeLessThan(text.length);
  });
});

function isCalled(words: string): boolean {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').includes(words);
}

/** Waits for everything that nobody refers to any more. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
