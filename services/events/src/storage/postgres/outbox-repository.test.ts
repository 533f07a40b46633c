import { migrate, openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OutboxWriter } from '../../testing/outbox-writer.ts';
import { OutboxRepository } from './outbox-repository.ts';

let database: TestDatabase;
let pool: Pool;
let runtime: OutboxWriter;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: 'events' });
  pool = openPool({ url: database.url, schema: 'events', size: 2 });
  runtime = await OutboxWriter.open(database.url, 'runtime');
});

afterEach(async () => {
  await runtime.close();
  await pool.end();
  await database.drop();
});

const ALL = Array.from({ length: 16 }, (_, partition) => partition);

describe('OutboxRepository', () => {
  it('answers the next rows of the partitions that are asked for, in order', async () => {
    for (let n = 0; n < 40; n++) await runtime.write([`r${n}`], `n${n % 10}`);
    const outbox = new OutboxRepository(pool, 'runtime', { of: () => [] });
    const all = await outbox.waiting(ALL, 100);
    expect(all.map(({ subject }) => subject)).toEqual(Array.from({ length: 40 }, (_, n) => `r${n}`));
    const some = [...new Set(all.map(({ partition }) => partition))].slice(0, 3);
    const expected = all.filter(({ partition }) => some.includes(partition)).map(({ seq }) => seq);
    expect((await outbox.waiting(some, 5)).map(({ seq }) => seq)).toEqual(expected.slice(0, 5));
  });

  it('takes, of rows at one place in the stream, the one relayed before the stream went back', async () => {
    await runtime.write(['published after the loss', 'lost']);
    const outbox = new OutboxRepository(pool, 'runtime', { of: () => [] });
    const [after, lost] = await outbox.waiting(ALL, 2);
    await outbox.markRelayed([{ seq: lost!.seq, streamSeq: 7n }], ALL);
    await outbox.markRelayed([{ seq: after!.seq, streamSeq: 7n }], ALL);
    expect(await outbox.lastRelayed(ALL)).toMatchObject({ id: lost!.id });
    expect(await outbox.unmarkFrom(7n, ALL)).toBe(2);
  });
});
