import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lockName } from './lock-name.ts';
import { migrate } from './migrate.ts';
import { nextRevision } from './outbox.ts';
import { openPool, type Pool, type Queryable } from './pool.ts';
import { isUniqueViolation } from './sql-error.ts';
import { untilSomebodyWaits } from './testing/blocked.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { transaction } from './transaction.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate({ url: database.url, schema: 'test' });
  pool = openPool({ url: database.url, schema: 'test', size: 8 });
  await pool.query('CREATE TABLE items (name text PRIMARY KEY, revision bigint NOT NULL)');
  await pool.query(
    'CREATE TABLE history (at bigint GENERATED ALWAYS AS IDENTITY, name text, revision bigint)',
  );
});

beforeEach(async () => {
  await pool.query('TRUNCATE items, history');
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function create(tx: Queryable, name: string): Promise<bigint> {
  await lockName(tx, 'items', name);
  const { rows } = await tx.query<{ revision: bigint }>(
    `INSERT INTO items VALUES ($1, nextval('revision')) RETURNING revision`,
    [name],
  );
  return rows[0]!.revision;
}

async function remove(tx: Queryable, name: string): Promise<bigint | undefined> {
  await lockName(tx, 'items', name);
  const { rowCount } = await tx.query('DELETE FROM items WHERE name = $1', [name]);
  return rowCount === 1 ? nextRevision(tx) : undefined;
}

describe('lockName', () => {
  it('makes a create that waits for a delete draw the later revision', async () => {
    await transaction(pool, (tx) => create(tx, 'a'));
    const deleted = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const removing = transaction(pool, async (tx) => {
      await lockName(tx, 'items', 'a');
      await tx.query(`DELETE FROM items WHERE name = 'a'`);
      deleted.resolve();
      await goOn.promise;
      return nextRevision(tx);
    });
    await deleted.promise;
    const creating = transaction(pool, (tx) => create(tx, 'a'));
    await untilSomebodyWaits(pool);
    goOn.resolve();
    const [removal, creation] = await Promise.all([removing, creating]);
    expect(creation).toBeGreaterThan(removal);
  });

  it('lets revisions of a name only grow, however creates and deletes meet', async () => {
    const names = ['a', 'b'];
    const work = async (worker: number) => {
      for (let round = 0; round < 25; round++) {
        const name = names[(worker + round) % names.length]!;
        const change = (worker + round) % 3 === 0 ? remove : create;
        await transaction(pool, async (tx) => {
          const revision = await change(tx, name);
          // Its number is drawn under the lock of the name: the order of the history is that of the changes.
          if (revision)
            await tx.query('INSERT INTO history (name, revision) VALUES ($1, $2)', [name, revision]);
        }).catch((error) => {
          if (!isUniqueViolation(error)) throw error;
        });
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(work));
    for (const name of names) {
      const { rows } = await pool.query('SELECT revision FROM history WHERE name = $1 ORDER BY at', [name]);
      const revisions = rows.map(({ revision }) => revision as bigint);
      expect(revisions.length).toBeGreaterThan(5);
      expect(revisions).toEqual([...revisions].sort((a, b) => Number(a - b)));
    }
  });

  it('does not make other names wait, nor the same name of another table', async () => {
    await transaction(pool, async (tx) => {
      await lockName(tx, 'items', 'a');
      await transaction(pool, async (other) => {
        await lockName(other, 'items', 'b');
        await lockName(other, 'things', 'a');
        await lockName(other, 'item', 's', 'a');
      });
    });
  });
});
