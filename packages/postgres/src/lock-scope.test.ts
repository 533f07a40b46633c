import { isKind } from '@longshore/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockScope, lockScopeAlone } from './lock-scope.ts';
import { openPool, type Pool } from './pool.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';
import { transaction } from './transaction.ts';

const SCOPE = { namespace: 'default', node: 'n1' };
/** As the collection contract has it. */
const COLLECTORS_LOCK = `SELECT pg_advisory_xact_lock(hashtextextended('gc' || chr(1) || $1 || chr(1) || $2, 0))`;

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool({ url: database.url, schema: 'public', size: 4 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

describe('lockScope', () => {
  it('lets writers of a scope work at the same time', async () => {
    await transaction(pool, async (tx) => {
      await lockScope(tx, SCOPE, ['images', 'a']);
      await transaction(pool, (other) => lockScope(other, SCOPE, ['images', 'b']));
    });
  });

  it('makes two writers of one name wait for one another', async () => {
    await transaction(pool, async (tx) => {
      await lockScope(tx, SCOPE, ['images', 'a']);
      const other = transaction(pool, async (second) => {
        await second.query(`SET LOCAL lock_timeout = '50ms'`);
        await lockScope(second, SCOPE, ['images', 'b'], ['images', 'a']);
      });
      await expect(other).rejects.toSatisfy((error) => isKind(error, 'Unavailable'));
    });
  });

  it('keeps the collector out of this scope, and of no other', async () => {
    await transaction(pool, async (tx) => {
      await lockScope(tx, SCOPE);
      const collector = (namespace: string, node: string) =>
        transaction(pool, async (second) => {
          await second.query(`SET LOCAL lock_timeout = '50ms'`);
          await second.query(COLLECTORS_LOCK, [namespace, node]);
        });
      await expect(collector('default', 'n1')).rejects.toSatisfy((error) => isKind(error, 'Unavailable'));
      await collector('default', 'n2');
      await collector('other', 'n1');
    });
  });
});

describe('lockScopeAlone', () => {
  it('keeps writers out of this scope, and of no other', async () => {
    await transaction(pool, async (tx) => {
      await lockScopeAlone(tx, SCOPE);
      const writer = (namespace: string, node: string) =>
        transaction(pool, async (second) => {
          await second.query(`SET LOCAL lock_timeout = '50ms'`);
          await lockScope(second, { namespace, node });
        });
      await expect(writer('default', 'n1')).rejects.toSatisfy((error) => isKind(error, 'Unavailable'));
      await writer('default', 'n2');
      await writer('other', 'n1');
    });
  });
});
