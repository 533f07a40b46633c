import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createLogger } from '@longshore/kit';
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskPausedSchema,
  TaskStartSchema,
} from '@longshore/proto/containerd/events/task';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TaskEvents } from './task-events.ts';
import { type ProcessRecord, TaskJournal } from './task-journal.ts';

const containerId = 'web';
let journal: TaskJournal;
let events: TaskEvents;
let recorded: { id: string; envelope: Envelope }[];
let isDiskFull = false;
let refused = 0;

beforeEach(() => {
  journal = new TaskJournal(':memory:');
  recorded = [];
  events = open();
});

afterEach(() => {
  isDiskFull = false;
  events.close();
  journal.close();
});

function open(holdMs = 60_000): TaskEvents {
  const ids = new Set<string>();
  const record = (event: { id: string; envelope: Envelope }) => {
    if (isDiskFull) refuse();
    if (ids.has(event.id)) return false;
    ids.add(event.id);
    recorded.push(event);
    return true;
  };
  const log = createLogger('agent', 'silent');
  return new TaskEvents({ node: 'node-1', recorder: { record }, journal, log, holdMs, retryMs: 10 });
}

function refuse(): never {
  refused++;
  throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
}

function begin(incarnation: string, execId = ''): ProcessRecord {
  const execIncarnation = execId && `${incarnation}-${execId}`;
  return journal.begin({ namespace: 'default', containerId, execId, incarnation, execIncarnation });
}

function envelope<D extends DescMessage>(
  topic: string,
  schema: D,
  message: MessageInitShape<D>,
  ms = 1,
): Envelope {
  const event = { typeUrl: schema.typeName, value: toBinary(schema, create(schema, message)) };
  return create(EnvelopeSchema, { namespace: 'default', topic, timestamp: timestampFromMs(ms), event });
}

const made = (pid: number) => envelope('/tasks/create', TaskCreateSchema, { containerId, pid });
const started = (pid: number) => envelope('/tasks/start', TaskStartSchema, { containerId, pid });
const exited = (pid: number, id = containerId) =>
  envelope('/tasks/exit', TaskExitSchema, { containerId, id, pid });
const deleted = (pid: number) => envelope('/tasks/delete', TaskDeleteSchema, { containerId, pid });
const added = (execId: string) => envelope('/tasks/exec-added', TaskExecAddedSchema, { containerId, execId });
const execStarted = (execId: string, pid: number) =>
  envelope('/tasks/exec-started', TaskExecStartedSchema, { containerId, execId, pid });
const paused = (ms: number) => envelope('/tasks/paused', TaskPausedSchema, { containerId }, ms);

const topics = () => recorded.map(({ envelope: { topic } }) => topic);
const requestStart = (record: ProcessRecord) => journal.update(record, { startRequested: true });

describe('TaskEvents', () => {
  it('records each event of a life once, with ids that repeat for nobody else', () => {
    for (const incarnation of ['first', 'second']) {
      begin(incarnation);
      const pid = incarnation.length;
      for (const event of [made(pid), started(pid), exited(pid), deleted(pid)]) {
        events.take(event);
        events.take(event);
      }
      journal.end(incarnation);
    }
    expect(topics()).toEqual([...LIFE, ...LIFE]);
    expect(new Set(recorded.map(({ id }) => id)).size).toBe(8);
  });

  it('gives the same ids on another occasion, and others on another node', () => {
    begin('first');
    events.take(made(5));
    const [first] = recorded;
    journal.update(journal.ofTask('first')[0]!, { created: false });
    open().take(made(5));
    expect(recorded[1]?.id).toBe(first?.id);
  });

  it('holds an exit back until the start that was asked for is reported', () => {
    requestStart(begin('first'));
    events.take(made(5));
    events.take(exited(5));
    expect(topics()).toEqual(['/tasks/create']);
    events.take(started(5));
    expect(topics()).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit']);
  });

  it('supplies a start that never came, after a while', async () => {
    events = open(10);
    requestStart(begin('first'));
    events.take(exited(5));
    await expect.poll(topics).toEqual(['/tasks/start', '/tasks/exit']);
    events.take(started(5));
    expect(topics()).toHaveLength(2);
  });

  it('keeps what comes while the disk is full, in its order', async () => {
    begin('first');
    events.take(made(5));
    isDiskFull = true;
    for (const event of [started(5), exited(5)]) events.take(event);
    isDiskFull = false;
    events.take(deleted(5));
    expect(topics()).toEqual(LIFE);
    isDiskFull = true;
    events.take(paused(1));
    isDiskFull = false;
    await expect.poll(topics).toEqual([...LIFE, '/tasks/paused']);
  });

  it('keeps an exit whose time has come while the disk is full', async () => {
    events = open(10);
    requestStart(begin('first'));
    isDiskFull = true;
    refused = 0;
    events.take(exited(5));
    await expect.poll(() => refused).toBeGreaterThan(1);
    isDiskFull = false;
    await expect.poll(topics).toEqual(['/tasks/start', '/tasks/exit']);
  });

  it('does not wait for a start that nobody asked for, or that was refused', () => {
    begin('first');
    events.take(exited(5));
    expect(topics()).toEqual(['/tasks/exit']);

    const second = begin('second');
    requestStart(second);
    events.take(exited(6));
    expect(topics()).toEqual(['/tasks/exit']);
    events.startRefused(second);
    expect(topics()).toEqual(['/tasks/exit', '/tasks/exit']);
  });

  it('puts the exits of execs before that of their task', () => {
    begin('first');
    events.take(started(5));
    begin('first', 'shell');
    for (const event of [added('shell'), execStarted('shell', 6), exited(5), exited(6, 'shell')])
      events.take(event);
    expect(topics()).toEqual([
      '/tasks/start',
      '/tasks/exec-added',
      '/tasks/exec-started',
      '/tasks/exit',
      '/tasks/exit',
    ]);
    expect(recorded[3]?.envelope).toEqual(exited(6, 'shell'));
  });

  it('says of an exec whose exit comes first that it was added, and nothing of one after its task', () => {
    begin('first');
    events.take(started(5));
    begin('first', 'quick');
    begin('first', 'late');
    for (const event of [exited(6, 'quick'), added('quick'), execStarted('quick', 6)]) events.take(event);
    for (const event of [deleted(5), added('late'), execStarted('late', 7)]) events.take(event);
    expect(topics()).toEqual([
      '/tasks/start',
      '/tasks/exec-added',
      '/tasks/exit',
      '/tasks/exit',
      '/tasks/delete',
    ]);
  });

  it('puts an exit before a delete, from what the delete says', () => {
    begin('first');
    events.take(started(5));
    events.take(deleted(5));
    events.take(exited(5));
    expect(topics()).toEqual(['/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('takes a late report for the life that it is about, not for the next', () => {
    begin('first');
    for (const event of [made(5), started(5), exited(5), deleted(5)]) events.take(event);
    journal.end('first');
    begin('second');
    events.take(made(6));
    events.take(exited(5));
    expect(topics()).toEqual([...LIFE, '/tasks/create']);
    expect(journal.ofTask('second')[0]?.exited).toBe(false);
  });

  it('tells one pause from the next, and from the same reported again', () => {
    begin('first');
    for (const ms of [1, 1, 2]) events.take(paused(ms));
    expect(topics()).toEqual(['/tasks/paused', '/tasks/paused']);
  });

  it('counts what a shim reported before what is assumed of it', () => {
    const record = begin('first');
    events.take(started(5));
    events.take(
      envelope('/tasks/exit', TaskExitSchema, { containerId, id: containerId, pid: 5, exitStatus: 3 }),
    );
    events.foundDeleted(journal.reread(record), { pid: 5, exitStatus: 137, exitedAt: timestampFromMs(1) });
    expect(topics()).toEqual(['/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('records an event of a task that it does not know as it is, once', () => {
    events.take(exited(5));
    events.take(exited(5));
    events.take(exited(6));
    expect(recorded.map(({ envelope: one }) => one)).toEqual([exited(5), exited(6)]);
  });

  it('loses nothing that it holds when it closes', () => {
    requestStart(begin('first'));
    events.take(exited(5));
    events.close();
    expect(topics()).toEqual(['/tasks/start', '/tasks/exit']);
  });

  it('tells when the delete of a task is recorded, or that it was not in time', async () => {
    begin('first');
    expect(await events.deleteRecorded('first', 1)).toBe(false);
    const soon = events.deleteRecorded('first', 10_000);
    events.take(deleted(0));
    expect(await soon).toBe(true);
    expect(await events.deleteRecorded('first', 1)).toBe(true);
  });
});

const LIFE = ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'];
