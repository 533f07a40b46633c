import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupHierarchies, removeCgroup } from '@longshore/linux';
import type { ServiceName } from '@longshore/local';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listenToEvents } from '../harness/event-listener.ts';
import { pushTestImages } from '../harness/images.ts';
import { UNTIL_TERM } from '../harness/running-task.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { readStream } from '../harness/stream-reader.ts';
import { waitUntil } from '../harness/wait-until.ts';

const CONTROL_PLANE: ServiceName[] = ['content', 'image', 'snapshot', 'runtime', 'events', 'gateway'];

let stack: Stack;
let busybox: string;
let n = 0;
let id: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
afterAll(() => stack?.close());
beforeEach(async () => {
  n += 1;
  id = `survivor-${n}`;
  await stack.ctr.ok(['run', '-d', busybox, id, ...UNTIL_TERM]);
});

/** Pid and start time: together they name a process for ever. */
async function identity(): Promise<string> {
  const line = new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(await stack.ctr.ok(['task', 'ls']));
  const pid = line?.[1];
  const startTime = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19];
  return `${pid} ${startTime}`;
}

async function expectAliveAndEnding(was: string): Promise<void> {
  expect(await identity()).toBe(was);
  const exec = await stack.ctr.run([
    'task',
    'exec',
    '--exec-id',
    `e-${id}`,
    id,
    'sh',
    '-c',
    'echo inside; exit 9',
  ]);
  expect(exec).toMatchObject({ code: 9, stdout: 'inside\n' });

  using events = await listenToEvents(stack.ctr, `topic=="/tasks/exit",event.container_id==${id}`);
  await stack.ctr.ok(['task', 'kill', '-s', 'TERM', id]);
  expect(await waitUntil(() => events.lines().length > 0)).toBe(true);
  expect(events.lines()).toHaveLength(1);
  expect(events.lines()[0]).toContain('"exit_status":5');
  expect((await stack.ctr.run(['task', 'rm', id])).stderr).toContain('exit code 5');
  await stack.ctr.ok(['container', 'rm', id]);
}

describe('a running container', () => {
  it('does not notice kill -9 of the agent, and the new agent finds it', async () => {
    const was = await identity();
    await stack.services.kill('agent');
    await stack.services.whenReady('agent');
    await expectAliveAndEnding(was);
  });

  it('ends with its own exit code when it ends while the agent is away', async () => {
    const [pid] = (await identity()).split(' ');
    await stack.services.stop('agent');
    // Not heard before its shell has come to the trap.
    const hasEnded = () => !isRunning(Number(pid)) || !terminate(Number(pid));
    expect(await waitUntil(hasEnded)).toBe(true);
    await stack.services.start('agent');
    await waitUntil(async () =>
      new RegExp(`^${id}\\s+\\d+\\s+STOPPED`, 'm').test(await stack.ctr.ok(['task', 'ls'])),
    );
    expect((await stack.ctr.run(['task', 'rm', id])).stderr).toContain('exit code 5');
    await stack.ctr.ok(['container', 'rm', id]);
  });

  it('does not notice kill -9 of the whole control plane, which comes back by itself', async () => {
    const was = await identity();
    await Promise.all(CONTROL_PLANE.map((service) => stack.services.kill(service)));
    await Promise.all(CONTROL_PLANE.map((service) => stack.services.whenReady(service)));
    await expectAliveAndEnding(was);
    expect(stack.reports.filter((line) => line.includes('SIGKILL'))).toHaveLength(CONTROL_PLANE.length + 1);
  });
});

describe('a shim that is killed', () => {
  it('ends its task with 137, reported once', async () => {
    using events = await listenToEvents(stack.ctr, 'topic=="/tasks/exit"');
    const [pid] = (await identity()).split(' ');
    const shim = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[1]);
    process.kill(shim, 'SIGKILL');
    const exits = () => events.lines().filter((line) => line.includes(`"${id}"`));
    expect(await waitUntil(() => exits().length > 0)).toBe(true);
    expect(exits()).toHaveLength(1);
    expect(exits()[0]).toContain('"exit_status":137');
    expect(isRunning(Number(pid))).toBe(false);
    await stack.ctr.run(['task', 'rm', id]);
    await stack.ctr.ok(['container', 'rm', id]);
  });
});

describe('the end of a whole unit, the agent and its shims at once', () => {
  it('ends the containers with 137, each reported once; they can be started again', async () => {
    const was = await identity();
    await using stream = await readStream(stack.nats);
    const unit = `/longshore-test-unit-${process.pid}`;
    const directory = join(cgroupHierarchies()[0]!, unit);
    mkdirSync(directory);
    const file = join(directory, 'cgroup.procs');
    writeFileSync(file, String(stack.services.pid('agent')));
    const ids = ['unit-1', 'unit-2'];
    for (const one of ids) await stack.ctr.ok(['run', '-d', busybox, one, 'sleep', '1000']);
    const containers = (await stack.ctr.ok(['task', 'ls'])).matchAll(/^unit-\d\s+(\d+)/gm);
    const pids = [...containers].map(([, pid]) => Number(pid));

    const members = readFileSync(file, 'utf8').trim().split('\n').map(Number);
    const killed = stack.services.kill('agent');
    for (const pid of members) process.kill(pid, 'SIGKILL');
    await killed;
    await stack.services.whenReady('agent');
    const exits = () =>
      stream.seen.filter(({ body }) => body.topic === '/tasks/exit').map(({ body }) => body.data);
    const mine = () => exits().filter(({ container_id }) => ids.includes(String(container_id)));
    expect(await waitUntil(() => mine().length >= 2)).toBe(true);
    expect(
      mine()
        .map(({ container_id, exit_status, pid }) => [container_id, exit_status, pid])
        .sort(),
    ).toEqual(ids.map((one, n) => [one, 137, pids[n]]));
    expect([...pids, ...members].filter(isRunning)).toEqual([]);
    for (const one of ids) {
      await stack.ctr.ok(['task', 'start', '-d', one]);
      await stack.ctr.ok(['task', 'rm', '-f', one]);
      await stack.ctr.ok(['container', 'rm', one]);
    }
    await removeCgroup(unit);
    // One whose shim was not of the unit.
    await expectAliveAndEnding(was);
  });
});

describe('a container that asks to be restarted', () => {
  const STATUS = 'containerd.io/restart.status';
  const COUNT = 'containerd.io/restart.count';
  const labels = async () => JSON.parse(await stack.ctr.ok(['container', 'info', id])).Labels;
  const exec = (...words: string[]) =>
    stack.ctr.ok(['task', 'exec', '--exec-id', `x-${id}`, id, ...words]).catch(String);

  /** Waits until a process other than `before` is the container's first. */
  async function runsAnew(before: number): Promise<number> {
    let pid = 0;
    const isAnew = async () => {
      pid = Number(
        new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(await stack.ctr.ok(['task', 'ls']))?.[1],
      );
      return pid > 0 && pid !== before;
    };
    expect(await waitUntil(isAnew)).toBe(true);
    return pid;
  }

  it('runs on, with its own root, until its labels say stopped; an agent that was away sees to it too', async () => {
    const first = Number((await identity()).split(' ')[0]);
    await exec('sh', '-c', 'echo kept > /mark');
    await stack.ctr.ok(['container', 'label', id, `${STATUS}=running`]);
    await stack.ctr.ok(['task', 'kill', '-s', 'KILL', id]);
    const second = await runsAnew(first);
    expect(await exec('cat', '/mark')).toBe('kept\n');
    expect((await labels())[COUNT]).toBe('1');

    await stack.services.stop('agent');
    process.kill(second, 'SIGKILL');
    await stack.services.start('agent');
    await runsAnew(second);
    expect((await labels())[COUNT]).toBe('2');

    await stack.ctr.ok(['container', 'label', id, `${STATUS}=stopped`]);
    const ids = async () => (await stack.ctr.ok(['task', 'ls', '-q'])).split('\n');
    expect(await waitUntil(async () => !(await ids()).includes(id))).toBe(true);
    await stack.ctr.ok(['container', 'rm', id]);
  });
});

/** False when it has ended meanwhile. */
function terminate(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM');
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0] !== 'Z';
  } catch {
    return false;
  }
}
