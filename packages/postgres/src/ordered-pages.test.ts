import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { orderedPages, type PagedSelect } from './ordered-pages.ts';
import { openPool, type Pool } from './pool.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool({ url: database.url, schema: 'public', size: 1 });
  await pool.query('CREATE TABLE thing (node text, name text, size int)');
  const names = ['a', 'B', 'a-b', 'ab', 'Ä', 'z', '😀', '～'];
  await pool.query(
    `INSERT INTO thing SELECT node, name, 1 FROM unnest($1::text[]) AS name, unnest(ARRAY['n2', 'n1']) AS node`,
    [names],
  );
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

const THINGS: PagedSelect = {
  columns: 'node, name',
  from: 'thing AS t',
  where: 't.size = $1',
  parameters: [1],
  order: ['t.node', 't.name'],
  pageRows: 3,
};

describe('orderedPages', () => {
  it('gives each row once, in byte order, on pages that grow', async () => {
    const pages = await Array.fromAsync(orderedPages<{ node: string; name: string }>(pool, THINGS));
    expect(pages.map(({ length }) => length)).toEqual([3, 6, 7]);
    const inBytes = ['B', 'a', 'a-b', 'ab', 'z', 'Ä', '～', '😀'];
    const expected = ['n1', 'n2'].flatMap((node) => inBytes.map((name) => `${node}/${name}`));
    expect(pages.flat().map(({ node, name }) => `${node}/${name}`)).toEqual(expected);
  });

  it('holds no connection between two pages', async () => {
    for await (const page of orderedPages(pool, THINGS)) {
      // The pool has one.
      const { rows } = await pool.query('SELECT 1 AS one');
      expect([page.length > 0, rows]).toEqual([true, [{ one: 1 }]]);
    }
  });

  it('throws Unavailable when the database is away', async () => {
    const away = openPool({ url: 'postgres://nobody@127.0.0.1:1/x', schema: 'public', size: 1 });
    await expect(Array.fromAsync(orderedPages(away, THINGS))).rejects.toMatchObject({ kind: 'Unavailable' });
    await away.end();
  });
});
