import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listenToEvents } from '../harness/event-listener.ts';
import { pushTestImages, type TestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let stack: Stack;
let images: TestImages;

beforeAll(async () => {
  stack = await startStack();
  images = await pushTestImages(stack.registry);
  await stack.ctr.ok(['image', 'pull', '--plain-http', images.busybox]);
});
afterAll(() => stack?.close());

const sh = (id: string, script: string) => ['run', '--rm', images.busybox, id, 'sh', '-c', script];

async function removeContainer(id: string): Promise<void> {
  await stack.ctr.run(['task', 'rm', '-f', id]);
  await stack.ctr.ok(['container', 'rm', id]);
}

describe('ctr run --rm', () => {
  it('shows what the container prints, on the stream that it printed to', async () => {
    const { code, stdout, stderr } = await stack.ctr.run(sh('prints', 'echo out; echo err >&2'));
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' });
  });

  it.each([0, 1, 42, 255])('exits with %i when the container does', async (wanted) => {
    expect((await stack.ctr.run(sh(`exit-${wanted}`, `exit ${wanted}`))).code).toBe(wanted);
  });

  it('exits with 128 and the signal of a container that was killed', async () => {
    const run = stack.ctr.start(['run', '--rm', images.busybox, 'killed', 'sleep', '1000']);
    await waitUntil(async () => /^killed\s+\d+\s+RUNNING/m.test(await stack.ctr.ok(['task', 'ls'])));
    await stack.ctr.ok(['task', 'kill', '-s', 'KILL', 'killed']);
    expect(await once(run, 'exit')).toEqual([137, null]);
  });

  it('runs an image that was unpacked by copies, with the snapshotter that is asked for', async () => {
    const native = ['--snapshotter', 'native'];
    await stack.ctr.ok(['image', 'pull', '--plain-http', ...native, images.layered]);
    const script = 'cat /data/kept; ls /data /opaque; echo new > /data/kept; cat /data/kept';
    const run = ['run', '--rm', ...native, images.layered, 'copied', 'sh', '-c', script];
    expect(await stack.ctr.ok(run)).toBe('changed\n/data:\nkept\n\n/opaque:\nabove\nnew\n');
    await stack.ctr.ok(['image', 'rm', '--sync', images.layered]);
    expect(await stack.ctr.ok(['snapshot', ...native, 'ls'])).not.toContain('sha256:');
  });

  it('passes stdin on to its end', async () => {
    const input = 'x'.repeat(300_000);
    const { stdout } = await stack.ctr.run(['run', '--rm', images.busybox, 'reads', 'wc', '-c'], {
      stdin: input,
    });
    expect(stdout.trim()).toBe('300000');
  });

  it('passes output that is larger than any buffer', async () => {
    // Under load ctr 1.6 and its shim may lose the last of what a process prints as it ends, against a containerd too.
    const output = await stack.ctr.ok(sh('prints-much', 'head -c 5000000 /dev/zero | tr "\\0" y; sleep 1'));
    expect(output.length).toBe(5_000_000);
  });

  it('gives a terminal with -t', async () => {
    const command = [
      'run',
      '--rm',
      '-t',
      images.busybox,
      'terminal',
      'sh',
      '-c',
      'tty; [ -t 0 ] && [ -t 1 ] && echo is-a-tty',
    ];
    const output = await stack.ctr.ok(command, { tty: true });
    expect(output).toMatch(/\/dev\/(pts\/0|console)\r+\nis-a-tty\r+\n/);
  });

  it('leaves no container, task or snapshot', async () => {
    await stack.ctr.ok(sh('leaves-nothing', 'true'));
    expect(await stack.ctr.ok(['container', 'ls', '-q'])).toBe('');
    expect(await stack.ctr.ok(['task', 'ls', '-q'])).toBe('');
    expect(await stack.ctr.ok(['snapshot', 'ls'])).not.toContain('leaves-nothing');
  });

  it('runs twenty at once', async () => {
    const runs = Array.from({ length: 20 }, (_, i) => stack.ctr.run(sh(`many-${i}`, `echo ${i}; exit ${i}`)));
    const results = await Promise.all(runs);
    expect(results.map(({ code, stdout, stderr }) => ({ code, stdout, stderr }))).toEqual(
      results.map((_, i) => ({ code: i, stdout: `${i}\n`, stderr: '' })),
    );
  });
});

describe('ctr run -d', () => {
  afterEach(() => removeContainer('detached'));

  it('is listed, entered, killed and removed', async () => {
    await stack.ctr.ok(['run', '-d', images.busybox, 'detached', 'sleep', '1000']);
    const [, pid] = /^detached\s+(\d+)\s+RUNNING/m.exec(await stack.ctr.ok(['task', 'ls']))!;
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x001000\0');
    expect(await stack.ctr.ok(['task', 'ps', 'detached'])).toContain(pid);

    const exec = (id: string, ...command: string[]) =>
      stack.ctr.run(['task', 'exec', '--exec-id', id, 'detached', ...command]);
    expect(await exec('e1', 'sh', '-c', 'echo in; exit 7')).toMatchObject({ code: 7, stdout: 'in\n' });
    expect(await exec('e2', 'cat', '/proc/1/cmdline')).toMatchObject({ code: 0, stdout: 'sleep\x001000\0' });

    await stack.ctr.ok(['task', 'kill', '-s', 'TERM', 'detached']);
    await stack.ctr.ok(['task', 'kill', '-s', 'KILL', 'detached']);
    const stopped = await waitUntil(async () =>
      /^detached\s+\d+\s+STOPPED/m.test(await stack.ctr.ok(['task', 'ls'])),
    );
    expect(stopped).toBe(true);
  });

  it('is shown by container ls and info, with the spec as it was given', async () => {
    await stack.ctr.ok([
      'run',
      '-d',
      '--label',
      'a=b',
      '--env',
      'X=1',
      images.busybox,
      'detached',
      'sleep',
      '1000',
    ]);
    expect(await stack.ctr.ok(['container', 'ls'])).toMatch(/^detached\s+\S+\s+io\.containerd\.runc\.v2/m);
    const info = JSON.parse(await stack.ctr.ok(['container', 'info', 'detached']));
    expect(info).toMatchObject({
      ID: 'detached',
      Labels: { a: 'b' },
      Snapshotter: 'overlayfs',
      SnapshotKey: 'detached',
    });
    expect(info.Spec.process.env).toContain('X=1');
    expect(info.Spec.linux.cgroupsPath).toBe('/default/detached');
  });

  it('keeps running when ctr, which started it, is long gone', async () => {
    await stack.ctr.ok([
      'run',
      '-d',
      images.busybox,
      'detached',
      'sh',
      '-c',
      'trap "exit 3" TERM; sleep 100000 & wait',
    ]);
    const wait = stack.ctr.start(['task', 'attach', 'detached']);
    const ended = once(wait, 'exit');
    // Not heard before its shell has come to the trap.
    const kill = async () => {
      await stack.ctr.run(['task', 'kill', '-s', 'TERM', 'detached']);
      return wait.exitCode !== null;
    };
    expect(await waitUntil(kill, 30_000)).toBe(true);
    expect((await ended)[0]).toBe(3);
  });
});

describe('ctr events', () => {
  it("shows a container's life in order, exit never before start", async () => {
    using events = await listenToEvents(stack.ctr);
    await Promise.all(Array.from({ length: 5 }, (_, i) => stack.ctr.ok(sh(`life-${i}`, 'true'))));
    const topicsOf = (id: string) =>
      events
        .lines()
        .filter((line) => line.includes(`"${id}"`))
        .map((line) => /\/(?:containers|snapshot|tasks)\/[a-z-]+/.exec(line)?.[0]);
    const lives = ['life-0', 'life-1', 'life-2', 'life-3', 'life-4'];
    await waitUntil(() => lives.every((id) => topicsOf(id).includes('/containers/delete')));
    for (const id of lives) {
      const topics = topicsOf(id);
      expect([...topics].sort()).toEqual([
        '/containers/create',
        '/containers/delete',
        '/snapshot/prepare',
        '/snapshot/remove',
        '/tasks/create',
        '/tasks/delete',
        '/tasks/exit',
        '/tasks/start',
      ]);
      const taskTopics = topics.filter((topic) => topic?.startsWith('/tasks/'));
      expect(taskTopics).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    }
  });
});
