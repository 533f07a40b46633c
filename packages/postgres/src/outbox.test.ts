import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { migrate } from './migrate.ts';
import { appendEvent, nextRevision, type OutboxEvent } from './outbox.ts';
import { openPool, type Pool } from './pool.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { transaction } from './transaction.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: 'test' });
  pool = openPool({ url: database.url, schema: 'test', size: 2 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

function event(change: Partial<OutboxEvent> = {}): OutboxEvent {
  return {
    namespace: 'default',
    node: 'n1',
    topic: '/images/create',
    subject: 'a',
    revision: 1n,
    typeUrl: 'test.Event',
    payload: new Uint8Array([0, 255]),
    ...change,
  };
}

describe('appendEvent', () => {
  it('keeps the event with the transaction and a fresh id', async () => {
    const xid = await transaction(pool, async (tx) => {
      await appendEvent(tx, event());
      await appendEvent(tx, event({ topic: '/images/delete', revision: 2n }));
      return (await tx.query('SELECT pg_current_xact_id()::text AS xid')).rows[0]!.xid;
    });
    const { rows } = await pool.query('SELECT *, xid::text FROM outbox ORDER BY seq');
    expect(rows).toMatchObject([
      {
        namespace: 'default',
        node: 'n1',
        topic: '/images/create',
        subject: 'a',
        revision: 1n,
        type_url: 'test.Event',
        xid,
      },
      { topic: '/images/delete', revision: 2n, xid },
    ]);
    expect(rows[0].payload).toEqual(Buffer.from([0, 255]));
    expect(rows[0].stream_seq).toBeNull();
    expect(rows[0].id).not.toBe(rows[1].id);
    expect(rows[0].partition).toBe(rows[1].partition);
  });

  it('spreads scopes over 16 partitions', async () => {
    for (let node = 0; node < 64; node++) await appendEvent(pool, event({ node: `node-${node}` }));
    const { rows } = await pool.query(
      `SELECT DISTINCT partition FROM outbox WHERE node LIKE 'node-%' ORDER BY 1`,
    );
    expect(rows.length).toBeGreaterThan(8);
    expect(rows.every(({ partition }) => partition >= 0 && partition < 16)).toBe(true);
  });

  it('tells the relay, once the transaction has committed', async () => {
    const listener = new pg.Client({ connectionString: database.url });
    await listener.connect();
    await listener.query('LISTEN longshore_outbox');
    const heard: (string | undefined)[] = [];
    listener.on('notification', ({ payload }) => heard.push(payload));
    await transaction(pool, async (tx) => {
      await appendEvent(tx, event());
      await appendEvent(tx, event());
    });
    await vi.waitFor(() => expect(heard).toEqual(['test']));
    await listener.end();
  });

  it('leaves nothing of a transaction that failed', async () => {
    const before = await pool.query('SELECT count(*) FROM outbox');
    await transaction(pool, async (tx) => {
      await appendEvent(tx, event());
      throw new Error('no');
    }).catch(() => undefined);
    expect((await pool.query('SELECT count(*) FROM outbox')).rows).toEqual(before.rows);
  });
});

describe('nextRevision', () => {
  it('grows', async () => {
    const first = await nextRevision(pool);
    expect(await nextRevision(pool)).toBeGreaterThan(first);
  });
});
