import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { migrate } from '../migrate.ts';
import type { Queryable } from '../pool.ts';
import { type RecordSource, recordSource } from '../record-source.ts';

export const THINGS = 'things';

const MIGRATION = `-- Up Migration
CREATE TABLE things (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(), namespace text NOT NULL DEFAULT 'default', node text NOT NULL,
  name text NOT NULL, revision bigint NOT NULL DEFAULT nextval('revision'), padding text NOT NULL DEFAULT '',
  changed xid8 NOT NULL DEFAULT pg_current_xact_id());
CREATE INDEX things_changed ON things (node, changed, uid);
CREATE TRIGGER things_notify AFTER INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION notify_scope();
CREATE TRIGGER things_deletion BEFORE DELETE ON things FOR EACH ROW EXECUTE FUNCTION log_deletion('thing', 'namespace', 'name');
CREATE TRIGGER things_rename BEFORE UPDATE ON things FOR EACH ROW WHEN (OLD.name <> NEW.name)
  EXECUTE FUNCTION log_deletion('thing', 'namespace', 'name');
`;

interface Thing {
  namespace: string;
  name: string;
  revision: bigint;
  padding: string;
}

/** A schema whose records nodes watch. */
export async function migrateThings(url: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'longshore-things-'));
  try {
    writeFileSync(join(directory, '0001_things.sql'), MIGRATION);
    await migrate({ url, schema: THINGS, directory: pathToFileURL(`${directory}/`) });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const thingSource: RecordSource = recordSource(
  {
    columns: 'namespace, name, revision, padding',
    from: 'things',
    alias: 'things',
    itemOf: (row: Thing) => row,
  },
  ({ namespace, name, revision, padding }) => ({
    kind: 'thing',
    namespace,
    key: `${namespace}/${name}`,
    revision,
    deleted: false,
    value: Buffer.from(padding),
    deleting: false,
  }),
);

export async function addThing(db: Queryable, node: string, name: string): Promise<void> {
  await db.query('INSERT INTO things (node, name) VALUES ($1, $2)', [node, name]);
}

export async function touchThing(db: Queryable, node: string, name: string): Promise<void> {
  await db.query(
    `UPDATE things SET revision = nextval('revision'), changed = pg_current_xact_id() WHERE node = $1 AND name = $2`,
    [node, name],
  );
}
