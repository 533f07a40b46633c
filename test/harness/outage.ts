import { setTimeout as delay } from 'node:timers/promises';
import { toJson } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { Channel, createClient } from '@longshore/rpc';
import { expect } from 'vitest';
import { takeInventory } from './inventory.ts';
import type { LosableStack, PartName } from './losable-stack.ts';
import { identityOf, UNTIL_TERM } from './running-task.ts';
import type { Stack } from './stack.ts';
import { type EventStream, readStream } from './stream-reader.ts';
import { SIGTERM, untilCaught } from './until-caught.ts';
import { waitUntil } from './wait-until.ts';

/** A call that waits for what is away would be over its deadline. */
const AT_ONCE_MS = 10_000;
const HEALED_MS = 60_000;
const inDefault = { headers: { [Header.Namespace]: 'default' } };

const LIFE = ['create', 'start', 'exit', 'delete'];
const LIFE_WITH_EXEC = ['create', 'start', 'exec-added', 'exec-started', 'exit', 'exit', 'delete'];

/** Ids of the containers that are there before the outage. */
interface Cast {
  /** Has an exec, is killed and deleted before the agent ends. */
  killed: string;
  /** Ends while no agent runs. */
  absent: string;
  /** Has an exec and is killed when the agent is back. */
  late: string;
  untouched: string;
}

/**
 * Takes a part away for `gapMs` at least, with an agent that is killed (-9) meanwhile: tasks are listed, entered, killed,
 * waited for, and end; afterwards each event of theirs has come once, in order, with the right status and time, and nothing
 * is left.
 */
export async function liveThrough(losable: LosableStack, part: PartName, gapMs: number): Promise<void> {
  const { stack, image, parts } = losable;
  const { ctr } = stack;
  const before = await takeInventory(stack);
  const name = (role: string) => `${part}-${role}`;
  const cast = {
    killed: name('killed'),
    absent: name('absent'),
    late: name('late'),
    untouched: name('untouched'),
  };
  await Promise.all(Object.values(cast).map((id) => ctr.ok(['run', '-d', image, id, ...UNTIL_TERM])));
  const was = await identityOf(ctr, cast.untouched);
  for (const id of [cast.killed, cast.absent]) await untilCaught(SIGTERM, await pidOf(stack, id));

  const lostMs = Date.now();
  await parts[part].lose();
  const ends = await liveWithout(losable, part, cast);
  await delay(lostMs + gapMs - Date.now());
  const broughtMs = Date.now();
  await parts[part].bring();

  const canWrite = async () => (await ctr.run(['container', 'label', cast.untouched, 'x=y'])).code === 0;
  expect(await waitUntil(canWrite, HEALED_MS)).toBe(true);
  expect(await identityOf(ctr, cast.untouched)).toBe(was);
  await Promise.all(Object.values(cast).map((id) => remove(stack, id)));
  await using events = await readStream(stack.nats);
  await expectEvents(events, cast, ends);
  if (part === 'nats') for (const id of madeMeanwhile(part)) expectLife(events, id, LIFE);
  for (const exit of exitsOf(events, cast.killed)) {
    const endedMs = Date.parse(String(exit.exited_at));
    expect([endedMs >= lostMs, endedMs <= broughtMs]).toEqual([true, true]);
  }
  const isAsBefore = async () => JSON.stringify(await takeInventory(stack)) === JSON.stringify(before);
  if (!(await waitUntil(isAsBefore))) expect(await takeInventory(stack)).toEqual(before);
}

/** Answers when those ended whose end was seen in the gap. */
async function liveWithout(
  { stack, image }: LosableStack,
  part: PartName,
  cast: Cast,
): Promise<Map<string, Timestamp>> {
  const { ctr, services } = stack;
  const ends = new Map<string, Timestamp>();
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(`unix://${stack.socket}`), (opened) => opened.close());
  const tasks = createClient(Tasks, channel);
  const containers = createClient(Containers, channel);
  const end = async (containerId: string) => {
    const { exitStatus, exitedAt } = await tasks.wait({ containerId }, inDefault);
    ends.set(containerId, exitedAt!);
    return exitStatus;
  };
  const expectChanges = async (id: string) => {
    if (part === 'nats') {
      expect(await ctr.ok(['run', '--rm', image, id, 'echo', 'on'])).toBe('on\n');
      return;
    }
    const spec = { typeUrl: JsonTypeUrl.Spec, value: Buffer.from('{}') };
    const container = { id, runtime: { name: 'io.containerd.runc.v2' }, spec };
    const creating = containers.create(
      { container },
      { ...inDefault, deadline: new Date(Date.now() + AT_ONCE_MS) },
    );
    await expect(creating).rejects.toMatchObject({ kind: 'Unavailable' });
  };

  const [first, second] = madeMeanwhile(part);
  await expectChanges(first);
  await expectRunning(stack, Object.values(cast));
  await expectExec(stack, cast.killed);
  await tasks.kill({ containerId: cast.killed, signal: SIGTERM }, inDefault);
  expect(await end(cast.killed)).toBe(5);
  expect(await tasks.delete({ containerId: cast.killed }, inDefault)).toMatchObject({
    exitStatus: 5,
    exitedAt: ends.get(cast.killed),
  });

  const pid = await pidOf(stack, cast.absent);
  await services.kill('agent');
  process.kill(pid, 'SIGTERM');
  const isBack = async () => (await ctr.run(['task', 'ls'])).code === 0;
  expect(await waitUntil(isBack, HEALED_MS)).toBe(true);
  expect(await end(cast.absent)).toBe(5);
  await expectRunning(stack, [cast.late, cast.untouched]);
  await expectExec(stack, cast.late);
  await tasks.kill({ containerId: cast.late, signal: 9 }, inDefault);
  expect(await end(cast.late)).toBe(137);
  await expectChanges(second);
  return ends;
}

/** Before and after the agent is killed. */
function madeMeanwhile(part: PartName): [string, string] {
  return [`${part}-new-1`, `${part}-new-2`];
}

async function pidOf({ ctr }: Stack, id: string): Promise<number> {
  return Number((await identityOf(ctr, id)).split(' ')[0]);
}

async function expectRunning({ ctr }: Stack, ids: string[]): Promise<void> {
  const running = [...(await ctr.ok(['task', 'ls'])).matchAll(/^(\S+)\s+\d+\s+RUNNING/gm)].map(
    ([, id]) => id,
  );
  expect(running.toSorted()).toEqual(ids.toSorted());
}

async function expectExec({ ctr }: Stack, id: string): Promise<void> {
  const exec = await ctr.run(['task', 'exec', '--exec-id', `e-${id}`, id, 'sh', '-c', 'echo inside; exit 9']);
  expect(exec).toMatchObject({ code: 9, stdout: 'inside\n' });
}

async function remove({ ctr }: Stack, id: string): Promise<void> {
  await ctr.run(['task', 'rm', '-f', id]);
  await ctr.ok(['container', 'rm', id]);
}

async function expectEvents(events: EventStream, cast: Cast, ends: Map<string, Timestamp>): Promise<void> {
  const ids = Object.values(cast);
  const hasGone = (topics: string[]) =>
    topics.includes('/tasks/delete') && topics.includes('/containers/delete');
  const isOver = () => ids.every((id) => hasGone(events.topicsOf(id)));
  expect(await waitUntil(isOver, HEALED_MS)).toBe(true);
  for (const id of ids) {
    expectLife(events, id, id === cast.killed || id === cast.late ? LIFE_WITH_EXEC : LIFE);
  }
  const status = (id: string) => exitsOf(events, id).map((exit) => exit.exit_status);
  expect(ids.map(status)).toEqual([[9, 5], [5], [9, 137], [137]]);
  for (const [id, time] of ends) {
    expect([id, exitsOf(events, id).at(-1)?.exited_at]).toEqual([id, toJson(TimestampSchema, time)]);
  }
  expect(new Set(events.seen.map(({ messageId }) => messageId)).size).toBe(events.seen.length);
}

/** Once each, and in this order. */
function expectLife(events: EventStream, id: string, life: string[]): void {
  const topics = events.topicsOf(id);
  const tasks = topics.filter((topic) => topic.startsWith('/tasks/'));
  expect([id, tasks]).toEqual([id, life.map((topic) => `/tasks/${topic}`)]);
  const records = topics.filter((topic) => /^\/containers\/(create|delete)$/.test(topic));
  expect([id, records]).toEqual([id, ['/containers/create', '/containers/delete']]);
}

function exitsOf(events: EventStream, id: string): Record<string, unknown>[] {
  const exits = events.seen.filter(({ body }) => body.topic === '/tasks/exit').map(({ body }) => body.data);
  return exits.filter((exit) => exit.container_id === id);
}
