import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { migrate, openPool, type Pool, RecordWatch } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentSources } from '../../rpc/records.ts';

const MIGRATIONS = new URL('./migrations/', import.meta.url);
const BEFORE = ['0001_content.sql', '0002_collection.sql', '0003_ingest_functions.sql'];
const schema = 'content';

let database: TestDatabase;
let pool: Pool;

/** As the version before the watch left it, with a namespace in it. */
beforeAll(async () => {
  database = await createTestDatabase();
  const directory = mkdtempSync(join(tmpdir(), 'longshore-upgrade-'));
  const old = join(directory, 'old');
  mkdirSync(old);
  for (const file of BEFORE) cpSync(join(fileURLToPath(MIGRATIONS), file), join(old, file));
  await migrate({ url: database.url, schema, directory: pathToFileURL(`${old}/`) });
  rmSync(directory, { recursive: true });
  pool = openPool({ url: database.url, schema, size: 4 });
  await pool.query(
    `INSERT INTO namespaces (namespace, node, revision) VALUES ('old', 'n1', nextval('revision'))`,
  );
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

describe('a database of the version before the watch', () => {
  it('tells of its old records, and of changes by replicas that were not upgraded', async () => {
    await migrate({ url: database.url, schema, directory: MIGRATIONS });
    const log = { warn: () => undefined };
    const records = new RecordWatch(pool, { schema, sources: contentSources, retentionMs: 1000, log });
    const watch = records.watch('n1', '', new AbortController().signal);
    const { value: all } = await watch.next();
    expect(all).toMatchObject({ synced: true, records: [{ kind: 'namespace', key: 'old' }] });
    await pool.query(
      `UPDATE namespaces SET labels = '{"a": "1"}', revision = nextval('revision') WHERE namespace = 'old'`,
    );
    const { value: changed } = await watch.next();
    expect(changed).toMatchObject({ records: [{ kind: 'namespace', key: 'old', deleted: false }] });
    await watch.return(undefined);
    records.close();
  });
});
