import { fromBinary } from '@bufbuild/protobuf';
import { createLogger, createMetrics } from '@longshore/kit';
import { migrate, openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { type AuditCall, AuditCallSchema, Outcome } from '@longshore/proto/longshore/audit/v1/audit_events';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { MIGRATIONS, SCHEMA } from '../database.ts';
import { AuditRepository } from '../storage/postgres/audit-repository.ts';
import type { AuditEntry } from './audit-log.ts';
import { auditMetrics } from './metrics.ts';
import { StoredAuditLog } from './stored-audit-log.ts';

const ENTRY: AuditEntry = {
  requestId: 'r1',
  caller: 'user/alice',
  address: '10.0.0.7',
  action: 'containerd.services.images.v1.Images/Delete',
  namespace: 'shop',
  node: 'n1',
  subject: { name: 'https://bob:hunter2@example.org/redis:7' },
};

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: SCHEMA, directory: MIGRATIONS });
  pool = openPool({ url: database.url, schema: SCHEMA, size: 4 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function openLog(repository = new AuditRepository(pool)) {
  const log = await StoredAuditLog.open({
    repository,
    retentionMs: 60 * 60_000,
    metrics: auditMetrics(createMetrics('test')),
    log: createLogger('test', 'silent'),
  });
  onTestFinished(() => log.close());
  return log;
}

async function intents(): Promise<number> {
  const { rows } = await pool.query('SELECT count(*)::int AS count FROM audit_intents');
  return rows[0].count;
}

/** Events of calls of this request id, oldest first. */
async function eventsOf(requestId: string): Promise<AuditCall[]> {
  const { rows } = await pool.query(`SELECT payload FROM outbox WHERE topic = '/audit/call' ORDER BY seq`);
  return rows
    .map(({ payload }) => fromBinary(AuditCallSchema, payload))
    .filter((call) => call.requestId === requestId);
}

describe('the audit log', () => {
  it('keeps an intent before, and tells of the outcome after', async () => {
    const log = await openLog();
    const record = await log.begin({ ...ENTRY, requestId: 'kept' });
    expect(await intents()).toBe(1);
    record.end({ error: 'NotFound' });
    record.end('ok');
    await expect.poll(() => log.waiting).toBe(0);
    expect(await intents()).toBe(0);
    const [event, ...more] = await eventsOf('kept');
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      caller: 'user/alice',
      address: '10.0.0.7',
      action: ENTRY.action,
      namespace: 'shop',
      node: 'n1',
      subject: { name: 'https://…@example.org/redis:7' },
      outcome: Outcome.FAILED,
      error: 'NotFound',
    });
    expect(event?.beganAt && event.endedAt).toBeDefined();
  });

  it('writes what comes at once in few statements', async () => {
    const repository = new AuditRepository(pool);
    const begin = vi.spyOn(repository, 'begin');
    const end = vi.spyOn(repository, 'end');
    const log = await openLog(repository);
    const records = await Promise.all(
      Array.from({ length: 300 }, () => log.begin({ ...ENTRY, requestId: 'many' })),
    );
    for (const record of records) record.end('ok');
    await expect.poll(() => log.waiting).toBe(0);
    expect(await eventsOf('many')).toHaveLength(300);
    expect(begin.mock.calls.length).toBeLessThanOrEqual(3);
    expect(end.mock.calls.length).toBeLessThanOrEqual(3);
  });

  it('refuses a call that it cannot keep, and tells of it once it can', async () => {
    const repository = new AuditRepository(pool);
    vi.spyOn(repository, 'begin').mockRejectedValueOnce(new Error('connection refused'));
    const log = await openLog(repository);
    await expect(log.begin({ ...ENTRY, requestId: 'away' })).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect.poll(() => log.waiting).toBe(0);
    const found = await eventsOf('away');
    expect(found.map(({ outcome, error }) => [outcome, error])).toEqual([[Outcome.FAILED, 'Unavailable']]);
  });

  it('completes what a dead gateway left, which says better when it was not dead', async () => {
    const paused = await openLog();
    const living = await openLog();
    const record = await paused.begin({ ...ENTRY, requestId: 'paused' });
    const open = await living.begin({ ...ENTRY, requestId: 'alive' });
    await living.completeDead();
    expect(await eventsOf('paused')).toEqual([]);
    await pool.query(
      `UPDATE audit_gateways SET seen_at = seen_at - interval '1 minute'
       WHERE id = (SELECT gateway FROM audit_intents ORDER BY payload LIKE '%alive%'::bytea LIMIT 1)`,
    );
    await living.completeDead();
    expect((await eventsOf('paused')).map(({ outcome }) => outcome)).toEqual([Outcome.UNKNOWN]);
    expect(await eventsOf('alive')).toEqual([]);

    record.end('ok');
    const next = await paused.begin({ ...ENTRY, requestId: 'next' });
    next.end('ok');
    open.end('ok');
    await expect.poll(() => paused.waiting + living.waiting).toBe(0);
    const [guess, truth] = await eventsOf('paused');
    expect([truth?.outcome, truth?.id]).toEqual([Outcome.OK, guess?.id]);
    expect(await intents()).toBe(0);
  });

  it('can be looked up, each call as what is known of it last, until it is too old', async () => {
    const repository = new AuditRepository(pool);
    const of = async (requestId: string) =>
      (await repository.list({ limit: 1000 }))
        .filter(({ payload }) => payload.includes(`${requestId}`))
        .map(({ result }) => result);
    expect(await of('paused')).toEqual(['ok']);
    const all = (await repository.list({ limit: 1000 })).length;
    expect(await repository.forget(60 * 60_000, 10)).toBe(0);
    expect(await repository.forget(0, 2)).toBe(2);
    expect((await repository.list({ limit: 1000 })).length).toBe(all - 2);
  });

  it('leaves what is open to the others when it stops', async () => {
    const stopping = await openLog();
    const living = await openLog();
    await stopping.begin({ ...ENTRY, requestId: 'cut' });
    await stopping.close();
    await living.completeDead();
    expect((await eventsOf('cut')).map(({ outcome }) => outcome)).toEqual([Outcome.UNKNOWN]);
  });
});
