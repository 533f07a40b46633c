import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TaskStartSchema } from '@longshore/proto/containerd/events/task';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENT_STREAM, type EventStreamOptions, ensureEventStream } from './event-stream.ts';
import type { LifecycleEvent } from './lifecycle-event.ts';
import { NatsLink } from './nats-link.ts';
import { publishEvent } from './publish-event.ts';
import { readEvents, streamBounds } from './read-events.ts';
import { findStoredIds, storedIdAt } from './stored-ids.ts';
import { subjectFilter, subjectOf } from './subjects.ts';
import { TestNatsServer } from './testing.ts';

const OPTIONS: EventStreamOptions = {
  maxAgeMs: 3_600_000,
  maxBytes: 100_000_000,
  replicas: 1,
  storage: 'file',
  dedupWindowMs: 120_000,
};
const DEADLINE_MS = 20_000;

let server: TestNatsServer;
let link: NatsLink;

beforeEach(async () => {
  server = await TestNatsServer.start();
  link = new NatsLink({
    servers: [server.url],
    name: 'test',
    prepare: (connection) => ensureEventStream(connection, OPTIONS),
  });
  await link.connected();
});

afterEach(async () => {
  await link.close();
  await server.close();
});

function taskStart(id: string, node = 'n1', topic = '/tasks/start'): LifecycleEvent {
  return {
    id,
    time: timestampFromMs(Date.now()),
    namespace: 'k8s.io',
    node,
    topic,
    subject: id,
    revision: 0n,
    typeUrl: 'containerd.events.TaskStart',
    payload: toBinary(TaskStartSchema, create(TaskStartSchema, { containerId: id, pid: 7 })),
  };
}

async function take(count: number, startSeq = 1n, filter = subjectFilter()): Promise<string[]> {
  const ids: string[] = [];
  for await (const { event } of readEvents(link, {
    filter,
    start: startSeq,
    signal: AbortSignal.timeout(DEADLINE_MS),
  })) {
    ids.push(event.id);
    if (ids.length === count) break;
  }
  return ids;
}

describe('ensureEventStream', () => {
  it('lets many create it at once, and changes what can be changed later', async () => {
    const connection = await link.connected();
    const manager = await jetstreamManager(connection);
    await manager.streams.delete(EVENT_STREAM);
    await Promise.all(Array.from({ length: 5 }, () => ensureEventStream(connection, OPTIONS)));
    await ensureEventStream(connection, {
      ...OPTIONS,
      maxAgeMs: 7_200_000,
      dedupWindowMs: 60_000,
      maxBytes: 0,
    });
    const { config } = await manager.streams.info(EVENT_STREAM);
    expect(config).toMatchObject({
      subjects: ['longshore.events.>'],
      max_age: 7_200_000 * 1e6,
      duplicate_window: 60_000 * 1e6,
      max_bytes: -1,
      storage: 'file',
    });
  });

  it('keeps events when it runs again', async () => {
    const connection = await link.connected();
    await publishEvent(connection, taskStart('a'));
    await ensureEventStream(connection, { ...OPTIONS, maxAgeMs: 7_200_000 });
    expect(await streamBounds(connection)).toEqual({ first: 1n, last: 1n });
  });

  it('refuses settings that the server refuses', async () => {
    const connection = await link.connected();
    const options = { ...OPTIONS, dedupWindowMs: OPTIONS.maxAgeMs + 1 };
    await expect(ensureEventStream(connection, options)).rejects.toThrow(/duplicates window/);
  });
});

describe('publishEvent', () => {
  it('stores one message for an id, however often it is sent', async () => {
    const connection = await link.connected();
    expect(await publishEvent(connection, taskStart('a'))).toEqual({ seq: 1n, isDuplicate: false });
    expect(await publishEvent(connection, taskStart('a'))).toEqual({ seq: 1n, isDuplicate: true });
    expect(await publishEvent(connection, taskStart('b'))).toEqual({ seq: 2n, isDuplicate: false });
  });

  it('stores a CloudEvent that anyone can read', async () => {
    const connection = await link.connected();
    const event = taskStart('a');
    await publishEvent(connection, event);
    const manager = await jetstreamManager(connection);
    const message = await manager.streams.getMessage(EVENT_STREAM, { last_by_subj: subjectOf(event) });
    expect(message?.subject).toBe('longshore.events.k8s%2Eio.n1.tasks.start');
    expect(message?.header.get('Nats-Msg-Id')).toBe('a');
    expect(message?.json()).toMatchObject({
      specversion: '1.0',
      id: 'a',
      data: { container_id: 'a', pid: 7 },
    });
  });

  it('keeps the order of calls that do not wait for one another', async () => {
    const connection = await link.connected();
    const ids = Array.from({ length: 500 }, (_, index) => `event-${index}`);
    const stored = await Promise.all(ids.map((id) => publishEvent(connection, taskStart(id))));
    expect(stored.map(({ seq }) => seq)).toEqual(ids.map((_, index) => BigInt(index + 1)));
    expect(await take(500)).toEqual(ids);
  });

  it('says Unavailable when nobody takes it', async () => {
    const connection = await link.connected();
    const manager = await jetstreamManager(connection);
    await manager.streams.delete(EVENT_STREAM);
    await expect(publishEvent(connection, taskStart('a'))).rejects.toMatchObject({ kind: 'Unavailable' });
    await server.kill();
    await expect(publishEvent(connection, taskStart('a'))).rejects.toMatchObject({ kind: 'Unavailable' });
  });
});

describe('readEvents', () => {
  it('goes on where it was after the server was killed', async () => {
    await publishEvent(await link.connected(), taskStart('a'));
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const events = readEvents(link, { filter: subjectFilter(), start: 1n, signal });
    expect((await events.next()).value).toMatchObject({ seq: 1n, event: { id: 'a' } });
    const next = events.next();
    const broken = link.connection;
    await server.restart();
    await broken?.closed();
    await publishEvent(await link.connected(signal), taskStart('b'));
    expect((await next).value).toMatchObject({ seq: 2n, event: { id: 'b' } });
    await events.return(undefined);
  });

  it('delivers only what the filter names, from the sequence asked for', async () => {
    const connection = await link.connected();
    for (const [id, node] of [
      ['a', 'n1'],
      ['b', 'n2'],
      ['c', 'n1'],
      ['d', '_'],
    ] as const) {
      await publishEvent(connection, taskStart(id, node));
    }
    expect(await take(2, 1n, subjectFilter({ node: 'n1' }))).toEqual(['a', 'c']);
    expect(await take(3, 2n)).toEqual(['b', 'c', 'd']);
  });

  it('skips messages that are no events, and says so', async () => {
    const connection = await link.connected();
    await connection.request('longshore.events.a.b.c', 'not json');
    await publishEvent(connection, taskStart('a'));
    const invalid: bigint[] = [];
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const options = {
      filter: subjectFilter(),
      start: 1n,
      signal,
      onInvalid: (seq: bigint) => invalid.push(seq),
    };
    for await (const { event } of readEvents(link, options)) {
      expect(event.id).toBe('a');
      break;
    }
    expect(invalid).toEqual([1n]);
  });

  it('ends when the signal aborts, and leaves no consumer behind', async () => {
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of readEvents(link, {
        filter: subjectFilter(),
        start: 1n,
        signal: controller.signal,
      })) {
        controller.abort();
      }
    })();
    const connection = await link.connected();
    await publishEvent(connection, taskStart('a'));
    await reading;
    const manager = await jetstreamManager(connection);
    await expect.poll(async () => (await manager.streams.info(EVENT_STREAM)).state.consumer_count).toBe(0);
  });
});

describe('findStoredIds', () => {
  it('finds every id of the subjects since the time, with its sequence', async () => {
    const connection = await link.connected();
    await publishEvent(connection, taskStart('other', 'n2'));
    const ids = Array.from({ length: 700 }, (_, index) => `event-${index}`);
    await Promise.all(ids.map((id) => publishEvent(connection, taskStart(id))));
    const since = new Date(Date.now() - 60_000);
    const found = await findStoredIds(connection, subjectFilter({ namespace: 'k8s.io', node: 'n1' }), since);
    expect([...found]).toEqual(ids.map((id, index) => [id, BigInt(index + 2)]));
    const manager = await jetstreamManager(connection);
    await expect.poll(async () => (await manager.streams.info(EVENT_STREAM)).state.consumer_count).toBe(0);
  });

  it('is empty when nothing was stored, or only earlier', async () => {
    const connection = await link.connected();
    const filter = subjectFilter({ namespace: 'k8s.io', node: 'n1' });
    expect(await findStoredIds(connection, filter, new Date(0))).toEqual(new Map());
    await publishEvent(connection, taskStart('a'));
    expect(await findStoredIds(connection, filter, new Date(Date.now() + 60_000))).toEqual(new Map());
  });
});

describe('storedIdAt', () => {
  it('is the id of the message there, if there is one', async () => {
    const connection = await link.connected();
    await publishEvent(connection, taskStart('a'));
    expect(await storedIdAt(connection, 1n)).toBe('a');
    expect(await storedIdAt(connection, 2n)).toBeUndefined();
  });
});
