import { setTimeout as delay } from 'node:timers/promises';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { createLogger, createMetrics } from '@longshore/kit';
import { type NatsLink, publishEvent } from '@longshore/messaging';
import { appendEvent, instanceOf, migrate, openPool, type Pool, transaction } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventMetrics, type EventMetrics } from '../metrics.ts';
import { OutboxRepository } from '../storage/postgres/outbox-repository.ts';
import { expectRelayed } from '../testing/expect-relayed.ts';
import { OutboxWriter, outboxEvent } from '../testing/outbox-writer.ts';
import { TestStream } from '../testing/stream.ts';
import { eventOfRow } from './outbox-event.ts';
import { Relay, type RelayOptions } from './relay.ts';

const DEDUP_WINDOW_MS = 100;
const TTL_MS = 2_000;
const DAY_MS = 86_400_000;
const ids = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

let database: TestDatabase;
let stream: TestStream;
let pool: Pool;
let runtime: OutboxWriter;
const open: AsyncDisposable[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  stream = await TestStream.start(DEDUP_WINDOW_MS);
  await migrate({ url: database.url, schema: 'events' });
  pool = openPool({ url: database.url, schema: 'events', size: 8 });
  runtime = await OutboxWriter.open(database.url, 'runtime');
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
  await runtime.close();
  await pool.end();
  await stream.close();
  await database.drop();
});

interface Running {
  relay: Relay;
  link: NatsLink;
  metrics: EventMetrics;
}

function startRelay(options: Partial<RelayOptions> = {}): Running {
  const metrics = createEventMetrics(createMetrics('events'));
  const link: NatsLink = stream.link(() => {
    metrics.connected.set(link.connection ? 1 : 0);
    relay.ring();
  });
  const relay: Relay = new Relay({
    pool,
    link,
    schemas: ['runtime'],
    instance: instanceOf('127.0.0.1:0'),
    leaderTtlMs: TTL_MS,
    pollMs: 200,
    keepMs: DAY_MS,
    metrics,
    log: createLogger('events', 'silent'),
    ...options,
  });
  relay.start();
  open.push(link, relay);
  return { relay, link, metrics };
}

describe('Relay', () => {
  it('carries rows of every schema, with their time, revision and payload', async () => {
    const image = await OutboxWriter.open(database.url, 'image');
    open.push(image);
    startRelay({ schemas: ['runtime', 'image'] });
    await runtime.write(['a', 'b']);
    await image.write(['c'], 'n1', '/images/create');
    await expectRelayed(stream, [runtime, image]);
    const first = (await stream.events()).find(({ event }) => event.subject === 'a');
    const { rows } = await runtime.pool.query(
      `SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS time FROM outbox ORDER BY seq`,
    );
    const nanos = rows[0].time.slice(-6);
    expect(first?.event).toMatchObject({
      subject: 'a',
      revision: 1n,
      topic: '/containers/create',
      namespace: 'default',
    });
    expect(String(first!.event.time.nanos / 1000).padStart(6, '0')).toBe(nanos);
  });

  it('is woken by a commit, long before it would look by itself', async () => {
    const { metrics } = startRelay({ pollMs: 60_000 });
    await expect.poll(() => metrics.partitions.value('runtime')).toBe(16);
    await expect.poll(() => metrics.connected.value()).toBe(1);
    await runtime.write(['a']);
    await expect.poll(() => runtime.waiting(), { timeout: 10_000 }).toBe(0);
  });

  it('waits for a schema that its service has not made yet', async () => {
    startRelay({ schemas: ['late', 'runtime'] });
    await runtime.write(['a']);
    await expectRelayed(stream, [runtime]);
    const late = await OutboxWriter.open(database.url, 'late');
    open.push(late);
    await late.write(['b']);
    await expectRelayed(stream, [runtime, late]);
  });

  it('lets no row overtake one of a transaction that is still open', async () => {
    const { metrics } = startRelay();
    await transaction(runtime.pool, async (older) => {
      await appendEvent(older, outboxEvent('a', '_', '/containers/create'));
      await runtime.write(['b']);
      await expect.poll(() => metrics.lagRows.value('runtime'), { timeout: 4_000 }).toBe(1);
      expect(await stream.events()).toEqual([]);
    });
    await expectRelayed(stream, [runtime]);
    expect((await stream.events()).map(({ event }) => event.subject)).toEqual(['a', 'b']);
  });

  it('lets rows wait while NATS is away, and says how many and how long', async () => {
    await stream.server.kill();
    const { metrics } = startRelay();
    await runtime.write(ids('a', 20));
    await expect.poll(() => metrics.lagRows.value('runtime')).toBe(20);
    expect(metrics.lagSeconds.value('runtime')).toBeGreaterThan(0);
    await stream.server.restart();
    await expectRelayed(stream, [runtime]);
    await expect.poll(() => metrics.lagRows.value('runtime')).toBe(0);
    expect(metrics.relayed.value('runtime')).toBe(20);
  });

  it('stores each event once, in order, while NATS is killed again and again', async () => {
    const { metrics } = startRelay();
    const resources = ids('container-', 40);
    const writing = (async () => {
      for (let round = 0; round < 60; round++)
        await runtime.write(resources, `n${round % 5}`, `/containers/t${round % 7}`);
    })();
    for (let kills = 1; kills <= 4; kills++) {
      await expect
        .poll(() => metrics.relayed.value('runtime'), { timeout: 20_000 })
        .toBeGreaterThan(kills * 200);
      await stream.server.restart();
    }
    await writing;
    await expectRelayed(stream, [runtime]);
  });

  it('finds what a former leader had stored but not marked, though the stream forgot the ids', async () => {
    await runtime.write(ids('a', 10));
    const link = stream.link();
    open.push(link);
    const connection = await link.connected();
    const rows = await new OutboxRepository(pool, 'runtime', { of: () => [] }).waiting(
      ids('', 16).map(Number),
      10,
    );
    // Not the first ones: with several on their way, an earlier one may be lost and a later one not.
    for (const row of [rows[2]!, rows[7]!]) await publishEvent(connection, eventOfRow(row));
    await delay(DEDUP_WINDOW_MS * 3); // the stream's own memory has to run out
    const { metrics } = startRelay();
    await expectRelayed(stream, [runtime]);
    expect(metrics.repeated.value('runtime')).toBe(2);
    expect(metrics.relayed.value('runtime')).toBe(8);
  });

  it('publishes everything again that a stream lost altogether', async () => {
    const { metrics } = startRelay();
    await runtime.write(ids('a', 30));
    await expectRelayed(stream, [runtime]);
    await stream.server.restart({ empty: true });
    await runtime.write(ids('a', 30));
    await expect.poll(() => metrics.rewound.value('runtime'), { timeout: 10_000 }).toBe(30);
    await expectRelayed(stream, [runtime]);
  });

  it('publishes only what is newer than what a restored stream has', async () => {
    const { metrics } = startRelay();
    await runtime.write(ids('a', 30));
    await expectRelayed(stream, [runtime]);
    await stream.server.backUp();
    await runtime.write(ids('b', 20));
    await expectRelayed(stream, [runtime]);
    await stream.server.restore();
    await expect.poll(() => metrics.rewound.value('runtime'), { timeout: 10_000 }).toBe(20);
    await expectRelayed(stream, [runtime]);
  });

  it('notices a loss also when others have published since', async () => {
    const first = startRelay();
    await stream.server.backUp();
    await runtime.write(ids('a', 5));
    await expectRelayed(stream, [runtime]);
    await first.relay.close();
    await stream.server.restore();
    const link = stream.link();
    open.push(link);
    const connection = await link.connected();
    for (const id of ids('spooled-', 20)) {
      await publishEvent(connection, { ...outboxEvent(id, 'n1', '/tasks/start'), id, time: timestampNow() });
    }
    const second = startRelay();
    await expect.poll(() => second.metrics.rewound.value('runtime'), { timeout: 10_000 }).toBe(5);
    await expectRelayed(stream, [runtime]);
  });

  it('deletes relayed rows after the time set, and never others', async () => {
    const first = startRelay({ keepMs: 0 });
    await runtime.write(['a', 'b']);
    await expect.poll(() => runtime.rows(), { timeout: 10_000 }).toEqual([]);
    expect(first.metrics.pruned.value('runtime')).toBe(2);
    await stream.server.kill();
    await runtime.write(['c']);
    await expect.poll(() => first.metrics.lagRows.value('runtime')).toBe(1);
    expect(await runtime.rows()).toHaveLength(1);
  });

  it('has one leader for each partition; one whose term has ended unnoticed marks nothing more', async () => {
    // Renews so seldom that it does not notice: as if it were paused.
    const first = startRelay({ leaderTtlMs: 3_600_000 });
    await expect.poll(() => first.metrics.partitions.value('runtime')).toBe(16);
    const second = startRelay();
    await runtime.write(ids('a', 50));
    await expectRelayed(stream, [runtime]);
    expect(second.metrics.partitions.value('runtime')).toBe(0);
    expect(second.metrics.relayed.value('runtime')).toBe(0);

    await pool.query('UPDATE leaders SET expires_at = clock_timestamp()');
    await expect.poll(() => second.metrics.partitions.value('runtime')).toBe(16);
    expect(first.metrics.partitions.value('runtime')).toBeGreaterThan(0);
    await runtime.write(ids('b', 50));
    await expect.poll(() => runtime.waiting()).toBe(0);
    const marked = ({ metrics }: Running) =>
      metrics.relayed.value('runtime') + metrics.repeated.value('runtime');
    await expect.poll(() => marked(second)).toBe(50);
    expect(marked(first)).toBe(50);
    // It notices when it is the quicker one to see a row.
    let n = 0;
    const afterAnother = async () => {
      await runtime.write([`c${n++}`]);
      return first.metrics.partitions.value('runtime');
    };
    await expect.poll(afterAnother, { timeout: 30_000, interval: 100 }).toBeLessThan(16);
    await expect.poll(() => runtime.waiting()).toBe(0);
    expect(marked(first)).toBe(50);
  });

  it('goes on when the connection breaks that hears of rows', async () => {
    const { metrics } = startRelay({ pollMs: 60_000 });
    await expect.poll(() => metrics.partitions.value('runtime')).toBe(16);
    const listening = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`;
    const pids = async () => (await pool.query<{ pid: number }>(listening)).rows.map(({ pid }) => pid);
    await expect.poll(pids).toHaveLength(1);
    const [before] = await pids();
    await pool.query('SELECT pg_terminate_backend($1)', [before]);
    await expect.poll(async () => (await pids()).filter((pid) => pid !== before)).toHaveLength(1);
    await runtime.write(['a']);
    await expect.poll(() => runtime.waiting(), { timeout: 10_000 }).toBe(0);
  });
});
