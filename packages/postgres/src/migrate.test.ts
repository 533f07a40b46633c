import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isKind } from '@longshore/errors';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from './migrate.ts';
import { createTestDatabase, type TestDatabase } from './testing.ts';

let database: TestDatabase;
let path: string;

beforeEach(async () => {
  database = await createTestDatabase();
  path = mkdtempSync(join(tmpdir(), 'migrate-'));
  add('0001_items.sql', 'CREATE TABLE items (name text);');
});

afterEach(async () => {
  rmSync(path, { recursive: true });
  await database.drop();
});

function add(file: string, sql: string): void {
  writeFileSync(join(path, file), `-- Up Migration\n${sql}\n`);
}

function run(schema = 'test'): Promise<void> {
  return migrate({ url: database.url, schema, directory: pathToFileURL(`${path}/`) });
}

async function tables(schema: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query(
    'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [schema],
  );
  await client.end();
  return rows.map(({ table_name }) => table_name);
}

describe('migrate', () => {
  it('makes the schema with what is shared and what is its own', async () => {
    await run();
    expect(await tables('test')).toEqual([
      'deletion_horizons',
      'deletions',
      'items',
      'leaders',
      'migrations',
      'outbox',
      'shared_migrations',
    ]);
    expect(await tables('public')).toEqual([]);
  });

  it('does each step once, when several replicas start together', async () => {
    add('0002_insert.sql', `INSERT INTO items VALUES ('once');`);
    await Promise.all([run(), run(), run(), run(), run('other')]);
    for (const schema of ['test', 'other']) {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      expect((await client.query(`SELECT * FROM ${schema}.items`)).rows).toEqual([{ name: 'once' }]);
      await client.end();
    }
  });

  it('runs later only what was added', async () => {
    await run();
    add('0002_more.sql', 'CREATE TABLE more (name text);');
    await run();
    await run();
    expect(await tables('test')).toContain('more');
  });

  it('leaves nothing of a step that fails, and succeeds when it is put right', async () => {
    add('0002_wrong.sql', 'CREATE TABLE half (name text); CREATE TABLE half (name text);');
    await expect(run()).rejects.toMatchObject({ code: '42P07' });
    expect(await tables('test')).not.toContain('half');
    add('0002_wrong.sql', 'CREATE TABLE whole (name text);');
    await run();
    expect(await tables('test')).toContain('whole');
  });

  it('makes what is shared for a schema without steps of its own', async () => {
    await migrate({ url: database.url, schema: 'bare' });
    await migrate({ url: database.url, schema: 'bare' });
    expect(await tables('bare')).toEqual([
      'deletion_horizons',
      'deletions',
      'leaders',
      'outbox',
      'shared_migrations',
    ]);
  });

  it('adds what is shared since the first release to a database of that release', async () => {
    const released = join(path, 'released');
    mkdirSync(released);
    const outbox = '0000_outbox.sql';
    copyFileSync(fileURLToPath(new URL(`../migrations/${outbox}`, import.meta.url)), join(released, outbox));
    await runner({
      databaseUrl: database.url,
      direction: 'up',
      dir: released,
      schema: 'test',
      createSchema: true,
      migrationsTable: 'shared_migrations',
      migrationsSchema: 'test',
      log: () => undefined,
    });
    rmSync(released, { recursive: true });
    expect(await tables('test')).toEqual(['outbox', 'shared_migrations']);
    await run();
    expect(await tables('test')).toEqual(expect.arrayContaining(['deletions', 'deletion_horizons', 'items']));
  });

  it('says Unavailable while Postgres is away', async () => {
    const away = migrate({ url: 'postgres://u@127.0.0.1:1/db', schema: 'test' });
    await expect(away).rejects.toSatisfy((error) => isKind(error, 'Unavailable'));
  });
});
