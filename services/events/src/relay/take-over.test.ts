import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventsProcess } from '../testing/events-process.ts';
import { expectRelayed } from '../testing/expect-relayed.ts';
import { OutboxWriter } from '../testing/outbox-writer.ts';
import { TestStream } from '../testing/stream.ts';

const RESOURCES = Array.from({ length: 50 }, (_, index) => `container-${index}`);
const ROUNDS = 80;

let database: TestDatabase;
let stream: TestStream;

beforeAll(async () => {
  database = await createTestDatabase();
  stream = await TestStream.start();
});

afterAll(async () => {
  await stream.close();
  await database.drop();
});

function start(): Promise<EventsProcess> {
  return EventsProcess.start({
    DATABASE_URL: database.url,
    NATS_URL: stream.server.url,
    LONGSHORE_RELAY_SCHEMAS: 'runtime,image',
  });
}

describe('two relays', () => {
  it('store each event once, in order, while leaders are killed and NATS goes away', async () => {
    await using runtime = await OutboxWriter.open(database.url, 'runtime');
    await using image = await OutboxWriter.open(database.url, 'image');
    await using first = await start();
    await using second = await start();
    const leads = (relay: EventsProcess) => relay.metric('longshore_relay_partitions', 'runtime');
    await expect.poll(async () => (await leads(first)) + (await leads(second)), { timeout: 10_000 }).toBe(16);

    const writing = (async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await runtime.write(RESOURCES, `n${round % 8}`, `/containers/t${round % 5}`);
        await image.write(RESOURCES.slice(0, 5), '_', '/images/update');
      }
    })();
    const relayed = (relay: EventsProcess) => relay.metric('longshore_relay_rows_total', 'runtime');
    const [leader, other] = (await leads(first)) === 16 ? [first, second] : [second, first];
    await expect.poll(() => relayed(leader), { timeout: 20_000 }).toBeGreaterThan(500);
    await leader.kill('SIGKILL');
    await expect.poll(() => relayed(other), { timeout: 20_000 }).toBeGreaterThan(500);
    await stream.server.restart();
    await using third = await start();
    await expect.poll(() => relayed(other), { timeout: 20_000 }).toBeGreaterThan(1_000);
    await other.kill('SIGTERM');
    await writing;
    await runtime.write(RESOURCES);
    await expectRelayed(stream, [runtime, image]);
    expect((await runtime.rows()).length).toBe(RESOURCES.length * (ROUNDS + 1));
    expect(await relayed(third)).toBeGreaterThan(0);
  });
});
