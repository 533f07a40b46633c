import { migrate, openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutboxWriter } from '../../testing/outbox-writer.ts';
import { LeaderSession } from './leader-session.ts';
import { OutboxRepository } from './outbox-repository.ts';
import { PartitionTerms } from './partition-terms.ts';

let database: TestDatabase;
let pool: Pool;
let runtime: OutboxWriter;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: 'events' });
  pool = openPool({ url: database.url, schema: 'events', size: 8 });
  runtime = await OutboxWriter.open(database.url, 'runtime');
});

afterEach(async () => {
  await runtime.close();
  await pool.end();
  await database.drop();
});

const ALL = Array.from({ length: 16 }, (_, partition) => partition);

async function open() {
  const session = await LeaderSession.open(pool, () => undefined);
  const terms = new PartitionTerms('runtime', () => session.end());
  return { session, terms, outbox: new OutboxRepository(pool, 'runtime', terms) };
}

describe('PartitionTerms', () => {
  it('let a leader write, and refuse one that was followed by another without noticing', async () => {
    await runtime.write(['a', 'b']);
    const first = await open();
    first.terms.add(await first.session.lead('runtime', ALL));
    const [a, b] = (await first.outbox.waiting(ALL, 10)).map(({ seq }) => ({ seq, streamSeq: seq }));
    await first.outbox.markRelayed([a!], ALL);
    expect(await runtime.waiting()).toBe(1);

    // As when the connection is cut while the process is paused: the locks are free, and nobody has told it.
    first.session.close();
    const second = await open();
    const taken = await vi.waitUntil(async () => {
      const terms = await second.session.lead('runtime', ALL);
      return terms.size === 16 && terms;
    });
    second.terms.add(taken);
    await expect(first.outbox.markRelayed([b!], ALL)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(first.session.lost.aborted).toBe(true);
    expect(await runtime.waiting()).toBe(1);
    await second.outbox.markRelayed([b!], ALL);
    expect(await runtime.waiting()).toBe(0);
    second.session.close();
  });
});
