import { parseFilters } from '@longshore/filters';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareDatabase, SCHEMA } from '../../database.ts';
import { ContainerListing, type ContainerPosition, type ListedContainer } from './container-listing.ts';

let database: TestDatabase;
let pool: Pool;

/** More than one stride, so that what is rare is found by indexes. */
const CONTAINERS = 2_500;

beforeAll(async () => {
  database = await createTestDatabase();
  await prepareDatabase(database.url);
  pool = openPool({ url: database.url, schema: SCHEMA, size: 2 });
  await pool.query(
    `INSERT INTO containers (namespace, node, id, revision, labels, image, runtime_name, spec_type_url, spec)
     SELECT 'default', CASE WHEN n % 50 = 0 THEN '_' ELSE 'n' || n % 7 END, 'c' || n / 2, nextval('revision'),
       jsonb_build_object('tier', CASE n % 3 WHEN 0 THEN 'web' ELSE 'worker' END, 'app', 'app-' || n % 100), 'i', 'r', 's', ''
     FROM generate_series(0, ${CONTAINERS - 1}) AS n`,
  );
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function all(filters: string[], limit: number, node?: string) {
  const listing = new ContainerListing(pool);
  const found: ListedContainer[] = [];
  let after: ContainerPosition | undefined;
  for (let pages = 0; pages < CONTAINERS; pages++) {
    const page = await listing.page({
      namespace: 'default',
      node,
      filter: parseFilters(filters),
      limit,
      after,
    });
    expect(page.containers.length).toBeLessThanOrEqual(limit);
    found.push(...page.containers);
    after = page.next;
    if (after === undefined) return found;
  }
  throw new Error('pages without end');
}

describe('the pages of a list', () => {
  it.each([
    ['everything', [], (n: number) => n % 50 !== 0],
    ['what many match', ['labels.tier==web'], (n: number) => n % 3 === 0 && n % 50 !== 0],
    ['what few match', ['labels.app==app-7'], (n: number) => n % 100 === 7],
    ['what an index cannot tell', ['labels.app~=^app-1[0-9]$'], (n: number) => n % 100 >= 10 && n % 100 < 20],
    [
      'what an index tells in part',
      ['labels.tier==web,labels.app~=^app-9'],
      (n: number) => n % 3 === 0 && (n % 100 === 9 || n % 100 >= 90) && n % 50 !== 0,
    ],
    [
      'one of two',
      ['labels.app==app-7', 'labels."longshore.io/node"==n3'],
      (n: number) => n % 100 === 7 || (n % 7 === 3 && n % 50 !== 0),
    ],
    ['nothing', ['labels.app==none'], () => false],
  ])('have %s once, in order', async (_, filters, matches) => {
    const expected = Array.from({ length: CONTAINERS }, (_, n) => n)
      .filter(matches)
      .filter((n) => n % 50 !== 0)
      .map((n) => `c${Math.floor(n / 2)} n${n % 7}`);
    for (const limit of [10, 100, 1000]) {
      const found = await all(filters, limit);
      const names = found.map(({ id, node }) => `${id} ${node}`);
      const inOrder = expected.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(names).toEqual(inOrder);
    }
  });

  it("are of one node, or of the fleet's own scope, when that is named", async () => {
    expect(new Set((await all([], 100, 'n3')).map(({ node }) => node))).toEqual(new Set(['n3']));
    expect(await all([], 100, '_')).toHaveLength(CONTAINERS / 50);
  });
});
