import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from './migrate.ts';
import { openPool, type Pool } from './pool.ts';
import { ScopeChanges } from './scope-changes.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let pool: Pool;
let directory: string;

beforeAll(async () => {
  database = await createTestDatabase();
  directory = await mkdtemp(join(tmpdir(), 'longshore-migrations-'));
  await migrate({ url: database.url, schema: 'things', directory: pathToFileURL(`${directory}/`) });
  pool = openPool({ url: database.url, schema: 'things', size: 4 });
  await pool.query(`CREATE TABLE things (namespace text, node text, name text);
    CREATE TRIGGER things_notify AFTER INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION notify_scope()`);
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

const add = (namespace: string, node: string) =>
  pool.query('INSERT INTO things VALUES ($1, $2, $3)', [namespace, node, 'x']);

describe('ScopeChanges', () => {
  it('says when it listens, then names the namespaces that changed on the node, and of no other', async () => {
    const changes = new ScopeChanges(pool, 'things');
    const stop = new AbortController();
    const watch = changes.watch('n1', stop.signal);
    expect((await watch.next()).value).toEqual(new Set());
    await add('elsewhere', 'n2');
    await add('a', 'n1');
    expect((await watch.next()).value).toEqual(new Set(['a']));
    await pool.query(`DELETE FROM things WHERE namespace = 'a'`);
    expect((await watch.next()).value).toEqual(new Set(['a']));
    stop.abort();
    expect((await watch.next()).done).toBe(true);
    changes.close();
  });

  it('tells a slow reader once of a namespace that changed often', async () => {
    const changes = new ScopeChanges(pool, 'things');
    const stop = new AbortController();
    const watch = changes.watch('n3', stop.signal);
    await watch.next();
    for (let n = 0; n < 20; n++) await add('busy', 'n3');
    await add('last', 'n3');
    let rounds = 0;
    for await (const namespaces of watch) {
      rounds += 1;
      if (namespaces.has('last')) stop.abort();
    }
    expect(rounds).toBeLessThan(5);
    changes.close();
  });

  it('throws Unavailable when its connection is cut, and listens again afterwards', async () => {
    const changes = new ScopeChanges(pool, 'things');
    const { signal } = new AbortController();
    const watch = changes.watch('n1', signal);
    await watch.next();
    const lost = expect(watch.next()).rejects.toMatchObject({ kind: 'Unavailable' });
    await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE query LIKE 'LISTEN%' AND datname = current_database()`);
    await lost;
    const again = changes.watch('n1', signal);
    expect((await again.next()).value).toEqual(new Set());
    await again.return(undefined);
    changes.close();
  });
});
