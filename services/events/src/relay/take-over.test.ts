import { transaction } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventsProcess } from '../testing/events-process.ts';
import { expectRelayed } from '../testing/expect-relayed.ts';
import { OutboxWriter } from '../testing/outbox-writer.ts';
import { TestStream } from '../testing/stream.ts';

const RESOURCES = Array.from({ length: 50 }, (_, index) => `container-${index}`);
const TTL_MS = 2_000;
/** When partitions change hands without waiting for a term to run out, this is not waited for. */
const LONG_TTL_MS = 40_000;
/** What a busy machine may need on top of the time to live: for the next look, and to be scheduled at all. */
const SLACK_MS = 15_000;

let database: TestDatabase;
let stream: TestStream;
let runtime: OutboxWriter;

beforeEach(async () => {
  database = await createTestDatabase();
  runtime = await OutboxWriter.open(database.url, 'runtime');
});

afterEach(async () => {
  await runtime.close();
  await stream.close();
  await database.drop();
});

function start(leaderTtlMs: number, schemas = 'runtime'): Promise<EventsProcess> {
  return EventsProcess.start({
    DATABASE_URL: database.url,
    NATS_URL: stream.server.url,
    LONGSHORE_EVENTS_DEDUP_WINDOW_MS: String(stream.dedupWindowMs),
    LONGSHORE_RELAY_SCHEMAS: schemas,
    LONGSHORE_RELAY_LEADER_TTL_MS: String(leaderTtlMs),
    LONGSHORE_RELAY_POLL_MS: '100',
  });
}

const led = (relay: EventsProcess) => relay.metric('longshore_relay_partitions', 'runtime');

/** Resolves with the milliseconds that it took. */
async function untilLeadsAll(relay: EventsProcess, timeoutMs: number): Promise<number> {
  const startMs = performance.now();
  await expect.poll(() => led(relay), { timeout: timeoutMs }).toBe(16);
  return performance.now() - startMs;
}

const relayed = (relay: EventsProcess) => relay.metric('longshore_relay_rows_total', 'runtime');

/**
 * Freezes a leader that has asked which rows wait, and has not been answered; the answer, these rows, lies there when it goes on.
 * Now and then it has asked for something else: once more then.
 */
async function freezeWithRowsInHand(relay: EventsProcess, resources: string[]): Promise<void> {
  const asks = async () => {
    const { rows } = await runtime.pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND query LIKE '%"isSafe"%'`,
    );
    return rows.length === 1;
  };
  const freeze = () =>
    transaction(runtime.pool, async (tx) => {
      await tx.query('LOCK TABLE outbox');
      const hasAsked = await vi.waitUntil(asks, { timeout: 1_500 }).catch(() => false);
      if (!hasAsked) return false;
      relay.freeze();
      await runtime.append(tx, resources);
      return true;
    });
  for (let attempt = 1; !(await freeze()); attempt++) expect(attempt).toBeLessThan(10);
}

describe('a relay that leads', () => {
  it('loses what it leads when it is frozen, and neither publishes nor marks what it had in hand', async () => {
    // So short that the stream drops no repetition for us.
    stream = await TestStream.start(100);
    await using first = await start(TTL_MS);
    await untilLeadsAll(first, SLACK_MS);
    await using second = await start(TTL_MS);
    await runtime.write(RESOURCES);
    await expectRelayed(stream, [runtime]);
    const before = await relayed(first);

    await freezeWithRowsInHand(first, RESOURCES);
    await untilLeadsAll(second, TTL_MS + SLACK_MS);
    await expectRelayed(stream, [runtime]);
    first.thaw();
    await expect.poll(() => led(first), { timeout: SLACK_MS }).toBe(0);
    expect(await relayed(first)).toBe(before);

    // It is well again, and gets everything back from one that stops.
    await second.kill('SIGTERM');
    await untilLeadsAll(first, SLACK_MS);
    await runtime.write(RESOURCES);
    await expectRelayed(stream, [runtime]);
    expect(await relayed(first)).toBe(before + RESOURCES.length);
  });

  it('hands over at once when it stops', async () => {
    stream = await TestStream.start();
    await using first = await start(LONG_TTL_MS);
    await untilLeadsAll(first, SLACK_MS);
    await using second = await start(LONG_TTL_MS);
    const writing = (async () => {
      for (let round = 0; round < 20; round++) await runtime.write(RESOURCES, `n${round % 8}`);
    })();
    await expect.poll(() => relayed(first), { timeout: 20_000 }).toBeGreaterThan(100);
    await first.kill('SIGTERM');
    expect(await untilLeadsAll(second, LONG_TTL_MS)).toBeLessThan(SLACK_MS);
    await writing;
    await expectRelayed(stream, [runtime]);
  });

  it('is followed at once by the next process of the same replica, also when it was killed', async () => {
    stream = await TestStream.start();
    await using relay = await start(LONG_TTL_MS);
    await untilLeadsAll(relay, SLACK_MS);
    await relay.kill('SIGKILL');
    await runtime.write(RESOURCES);
    await relay.startAgain();
    expect(await untilLeadsAll(relay, LONG_TTL_MS)).toBeLessThan(SLACK_MS);
    await expectRelayed(stream, [runtime]);
  });
});

describe('three relays', () => {
  it('store each event once, in order, while leaders are killed and frozen and NATS goes away', async () => {
    stream = await TestStream.start();
    await using image = await OutboxWriter.open(database.url, 'image');
    await using first = await start(TTL_MS, 'runtime,image');
    await untilLeadsAll(first, SLACK_MS);
    await using second = await start(TTL_MS, 'runtime,image');
    let isOver = false;
    let rounds = 0;
    const writing = (async () => {
      for (; !isOver; rounds++) {
        await runtime.write(RESOURCES, `n${rounds % 8}`, `/containers/t${rounds % 5}`);
        await image.write(RESOURCES.slice(0, 5), '_', '/images/update');
        await expect.poll(() => runtime.waiting(), { timeout: 60_000 }).toBeLessThan(1_000);
      }
    })();
    const relays = async (relay: EventsProcess, rows: number) => {
      const from = await relayed(relay);
      await expect.poll(() => relayed(relay), { timeout: 20_000 }).toBeGreaterThan(from + rows);
    };
    await relays(first, 200);
    await first.kill('SIGKILL');
    await relays(second, 200);
    await stream.server.restart();
    await using third = await start(TTL_MS, 'runtime,image');
    await relays(second, 200);
    second.freeze();
    await relays(third, 200);
    second.thaw();
    await relays(third, 200);
    await third.kill('SIGTERM');
    await relays(second, 200);
    isOver = true;
    await writing;
    await expectRelayed(stream, [runtime, image]);
    expect((await runtime.rows()).length).toBe(RESOURCES.length * rounds);
  }, 120_000);
});
