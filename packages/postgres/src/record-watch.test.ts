import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { pruneDeletions } from './deletion-log.ts';
import { DELETION_REVISION } from './outbox.ts';
import { openPool, type Pool } from './pool.ts';
import { type RecordBatch, RecordWatch } from './record-watch.ts';
import { addThing, migrateThings, THINGS, thingSource, touchThing } from './testing/things.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';

const NODE = 'n1';
let database: TestDatabase;
let pool: Pool;
let records: RecordWatch;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrateThings(database.url);
  pool = openPool({ url: database.url, schema: THINGS, size: 6 });
  const log = { warn: () => undefined };
  records = new RecordWatch(pool, { schema: THINGS, sources: [thingSource], retentionMs: 0, log });
});

beforeEach(async () => {
  await pool.query('TRUNCATE things, deletions, deletion_horizons');
});

afterAll(async () => {
  records.close();
  await pool.end();
  await database.drop();
});

/** One open watch; what it has told of, in its order. */
class Watcher {
  readonly batches: RecordBatch[] = [];
  readonly #stop = new AbortController();
  readonly #watch: AsyncIterator<RecordBatch>;

  constructor(node: string, position: string) {
    this.#watch = records.watch(node, position, this.#stop.signal)[Symbol.asyncIterator]();
  }

  /** Until everything from before the call is told. */
  static async synced(position = '', node = NODE): Promise<Watcher> {
    const watcher = new Watcher(node, position);
    while (!(await watcher.next()).synced);
    return watcher;
  }

  async next(): Promise<RecordBatch> {
    const { value, done } = await this.#watch.next();
    if (done) throw new Error('the watch has ended');
    this.batches.push(value);
    return value;
  }

  async until(key: string): Promise<void> {
    while (!this.told.includes(key)) await this.next();
  }

  get told(): string[] {
    return this.batches.flatMap((batch) =>
      batch.records.map((record) => (record.deleted ? `-${record.key}` : record.key)),
    );
  }

  get isReset(): boolean {
    return this.batches[0]!.reset;
  }

  /** Ends the watch; the position to go on from. */
  async end(): Promise<string> {
    this.#stop.abort();
    await this.#watch.return?.();
    return this.batches.findLast(({ position }) => position !== '')?.position ?? '';
  }
}

describe('RecordWatch', () => {
  it('tells everything of the node, then what changes, and asks nothing for others', async () => {
    await addThing(pool, NODE, 'a');
    await addThing(pool, 'n2', 'other');
    const watcher = await Watcher.synced();
    const other = await Watcher.synced('', 'n2');
    expect(watcher.batches).toMatchObject([{ reset: true, synced: true, records: [{ key: 'default/a' }] }]);
    const query = vi.spyOn(pool, 'query');
    await addThing(pool, NODE, 'b');
    await watcher.until('default/b');
    const asked = query.mock.calls.map(([, values]) => (values as unknown as unknown[])[0]);
    query.mockRestore();
    expect(asked).toContain(NODE);
    expect(asked).not.toContain('n2');
    expect(other.told).toEqual(['default/other']);
    await Promise.all([watcher.end(), other.end()]);
  });

  it('misses nothing across resumes when transactions commit in another order than they began', async () => {
    const early = await pool.connect();
    const late = await pool.connect();
    await early.query('BEGIN');
    await addThing(early, NODE, 'early');
    await late.query('BEGIN');
    await addThing(late, NODE, 'late');
    await late.query('COMMIT');
    const first = await Watcher.synced();
    expect(first.told).toEqual(['default/late']);
    const position = await first.end();
    await early.query('COMMIT');
    const second = await Watcher.synced(position);
    expect([second.told, second.isReset]).toEqual([['default/early'], false]);
    const third = await Watcher.synced(await second.end());
    expect(third.told).toEqual([]);
    await third.end();
    early.release();
    late.release();
  });

  it('hears of what an older transaction commits while newer ones are told, and of nothing twice', async () => {
    const watcher = await Watcher.synced();
    const early = await pool.connect();
    await early.query('BEGIN');
    await addThing(early, NODE, 'early');
    for (const name of ['b', 'c']) {
      await addThing(pool, NODE, name);
      await watcher.until(`default/${name}`);
    }
    await early.query('COMMIT');
    early.release();
    await watcher.until('default/early');
    expect(watcher.told).toEqual(['default/b', 'default/c', 'default/early']);
    await watcher.end();
  });

  it('loses nothing to many writers, with a watcher that resumes again and again', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `t${index}`);
    const writes = Promise.all(
      [0, 1, 2].map(async (part) => {
        const client = await pool.connect();
        for (const name of names.filter((_, index) => index % 3 === part)) {
          await client.query('BEGIN');
          await addThing(client, NODE, name);
          await client.query('SELECT pg_sleep(random() * 0.01)');
          await client.query('COMMIT');
        }
        client.release();
      }),
    );
    const told = new Set<string>();
    let isOver = false;
    void writes.then(() => (isOver = true));
    for (let position = '', goesOn = true; goesOn; ) {
      goesOn = !isOver;
      const watcher = await Watcher.synced(position);
      for (const key of watcher.told) told.add(key);
      position = await watcher.end();
    }
    await writes;
    expect([...told].sort()).toEqual(names.map((name) => `default/${name}`).sort());
  });

  it('tells of deletions and renames across a resume, with the revisions that RETURNING gave', async () => {
    for (const name of ['a', 'b', 'c']) await addThing(pool, NODE, name);
    const position = await (await Watcher.synced()).end();
    const gone = await pool.query(
      `DELETE FROM things WHERE name <> 'c' RETURNING name, ${DELETION_REVISION} AS revision`,
    );
    const renamed = await pool.query(
      `UPDATE things SET name = 'd', revision = nextval('revision'), changed = pg_current_xact_id() WHERE name = 'c'
       RETURNING ${DELETION_REVISION} AS revision`,
    );
    await addThing(pool, NODE, 'a');
    const watcher = await Watcher.synced(position);
    const told = watcher.batches.flatMap((batch) => batch.records);
    const revisionsOf = (key: string, deleted: boolean) =>
      told
        .filter((record) => record.key === key && record.deleted === deleted)
        .map(({ revision }) => revision);
    for (const { name, revision } of gone.rows)
      expect(revisionsOf(`default/${name}`, true)).toEqual([revision]);
    expect(revisionsOf('default/c', true)).toEqual([renamed.rows[0].revision]);
    expect(revisionsOf('default/d', false)).toHaveLength(1);
    expect(revisionsOf('default/a', false)[0]).toBeGreaterThan(revisionsOf('default/a', true)[0]!);
    await watcher.end();
  });

  it('repeats from an older position what the revisions tell apart', async () => {
    await addThing(pool, NODE, 'a');
    const first = await Watcher.synced();
    await touchThing(pool, NODE, 'a');
    while (first.told.length < 2) await first.next();
    const [before, after] = first.batches.flatMap((batch) => batch.records);
    expect(after!.revision).toBeGreaterThan(before!.revision);
    const again = await Watcher.synced(first.batches[0]!.position);
    expect(again.batches[0]!.records).toEqual([after]);
    await Promise.all([first.end(), again.end()]);
  });

  it('resets who has missed forgotten deletions, and nobody else', async () => {
    await addThing(pool, NODE, 'a');
    await addThing(pool, NODE, 'b');
    await addThing(pool, 'n2', 'other');
    const position = await (await Watcher.synced()).end();
    const others = await (await Watcher.synced('', 'n2')).end();
    await pool.query(`DELETE FROM things WHERE name = 'a'`);
    const later = await (await Watcher.synced(position)).end();
    await pruneDeletions(pool, 0);
    expect((await pool.query('SELECT FROM deletions')).rowCount).toBe(0);
    const outcomes = [];
    for (const [node, from] of [
      [NODE, position],
      [NODE, later],
      ['n2', others],
    ] as const) {
      const watcher = await Watcher.synced(from, node);
      outcomes.push([watcher.isReset, watcher.told]);
      await watcher.end();
    }
    expect(outcomes).toEqual([
      [true, ['default/b']],
      [false, []],
      [false, []],
    ]);
  });

  it('resets who comes from another database, from the future, or with no position at all', async () => {
    await addThing(pool, NODE, 'a');
    const position = await (await Watcher.synced()).end();
    const [epoch, snapshot] = position.split('/');
    const foreign = [`1.1.1.1.1/${snapshot}`, `${epoch}/900000000:900000000:`, `${epoch}/9:3:`, 'damaged'];
    for (const text of foreign) {
      const watcher = await Watcher.synced(text);
      expect([text, watcher.isReset, watcher.told]).toEqual([text, true, ['default/a']]);
      await watcher.end();
    }
    const known = await Watcher.synced(position);
    expect(known.isReset).toBe(false);
    await known.end();
  });

  it('lists in batches, and misses nothing that changes between them', async () => {
    await pool.query(
      `INSERT INTO things (node, name) SELECT $1, 'a' || n FROM generate_series(1, 1100) AS n`,
      [NODE],
    );
    const watcher = new Watcher(NODE, '');
    const first = await watcher.next();
    expect(first).toMatchObject({ reset: true, synced: false, position: '' });
    await pool.query(`UPDATE things SET name = 'moved', revision = nextval('revision'), changed = pg_current_xact_id()
      WHERE name = 'a7'`);
    await pool.query(`DELETE FROM things WHERE name = 'a1100'`);
    await watcher.until('-default/a1100');
    expect(watcher.batches.every((batch) => batch.records.length <= 500)).toBe(true);
    expect(watcher.batches.filter(({ reset }) => reset)).toHaveLength(1);
    const told = new Set(watcher.told);
    expect(told.has('default/moved')).toBe(true);
    for (let n = 1; n < 1100; n++) expect(told.has(`default/a${n}`) || n === 7).toBe(true);
    await watcher.end();
  });

  it('keeps a batch of large records below a megabyte or so', async () => {
    await pool.query(
      `INSERT INTO things (node, name, padding) SELECT $1, n::text, repeat('x', 400000) FROM generate_series(1, 5) AS n`,
      [NODE],
    );
    const watcher = await Watcher.synced();
    expect(watcher.batches.map((batch) => batch.records.length)).toEqual([2, 2, 1]);
    await watcher.end();
  });
});
