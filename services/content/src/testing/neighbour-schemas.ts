import { readFile } from 'node:fs/promises';
import { migrate } from '@longshore/postgres';
import pg from 'pg';

/**
 * Schemas of the services that this one collects for, as far as the collection contract goes. That of images has
 * the SQL of the example in README.md, so that the example is known to work. That of snapshots has one that
 * nothing refers to, which a service's first collection removes.
 */
export async function createNeighbours(databaseUrl: string): Promise<void> {
  const example = await readExample();
  for (const schema of ['image', 'snapshot', 'runtime']) await migrate({ url: databaseUrl, schema });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(`
      SET search_path = image; ${IMAGES} ${example}
      SET search_path = snapshot; ${SNAPSHOTS}
      INSERT INTO snapshots (name) VALUES ('garbage');
      SET search_path = runtime; ${CONTAINERS}`);
  } finally {
    await client.end();
  }
}

async function readExample(): Promise<string> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const example = readme.match(/```sql\n(CREATE FUNCTION gc_version[\s\S]*?)```/)?.[1];
  if (!example) throw new Error('README.md has no example of the collection contract');
  return example;
}

/** Deletions, as the services log them. */
function logged(table: string, kind: string, key = 'name'): string {
  return `CREATE TRIGGER ${table}_deletion BEFORE DELETE ON ${table}
    FOR EACH ROW EXECUTE FUNCTION log_deletion('${kind}', '${key}');`;
}

const RECORD = `
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(), namespace text NOT NULL DEFAULT 'default',
  node text NOT NULL DEFAULT '_', labels jsonb NOT NULL DEFAULT '{}',
  changed xid8 NOT NULL DEFAULT pg_current_xact_id()`;

const IMAGES = `
  CREATE TABLE images (${RECORD}, name text NOT NULL, target_digest text NOT NULL, expires_at timestamptz);
  ${logged('images', 'image')}`;

const SNAPSHOTS = `
  CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE snapshots (${RECORD}, name text NOT NULL, parent text);
  ${logged('snapshots', 'snapshot')}
  CREATE VIEW gc_objects AS
    SELECT namespace, node, 'snapshot' AS kind, 'overlayfs/' || name AS key, uid, labels, true AS collectable, changed
    FROM snapshots;
  CREATE VIEW gc_roots AS
    SELECT namespace, node, ''::text AS kind, ''::text AS key, false AS flat, changed FROM snapshots WHERE false;
  CREATE VIEW gc_references AS
    SELECT namespace, node, 'snapshot' AS from_kind, 'overlayfs/' || name AS from_key, 'snapshot' AS to_kind,
      'overlayfs/' || parent AS to_key, changed FROM snapshots WHERE parent IS NOT NULL;
  CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
    RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
    VOLATILE LANGUAGE sql SET search_path FROM CURRENT AS $$
    DELETE FROM snapshots USING unnest(in_keys, in_uids) AS d (key, uid)
    WHERE snapshots.uid = d.uid AND 'overlayfs/' || snapshots.name = d.key
    RETURNING 'snapshot', d.key, NULL, NULL, NULL::bytea $$;`;

const CONTAINERS = `
  CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE containers (${RECORD}, id text NOT NULL, snapshot text);
  ${logged('containers', 'container', 'id')}
  CREATE TABLE sandboxes (${RECORD}, id text NOT NULL);
  ${logged('sandboxes', 'sandbox', 'id')}
  CREATE VIEW gc_objects AS
    SELECT namespace, node, 'container' AS kind, id AS key, uid, labels, false AS collectable, changed FROM containers
    UNION ALL
    SELECT namespace, node, 'sandbox', id, uid, labels, false, changed FROM sandboxes;
  CREATE VIEW gc_roots AS
    SELECT namespace, node, kind, key, false AS flat, changed FROM gc_objects;
  CREATE VIEW gc_references AS
    SELECT namespace, node, 'container' AS from_kind, id AS from_key, 'snapshot' AS to_kind,
      'overlayfs/' || snapshot AS to_key, changed FROM containers WHERE snapshot IS NOT NULL;
  CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
    RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
    VOLATILE LANGUAGE sql SET search_path FROM CURRENT AS $$
    DELETE FROM sandboxes USING unnest(in_kinds, in_keys, in_uids) AS d (kind, key, uid)
    WHERE d.kind = 'sandbox' AND sandboxes.uid = d.uid AND sandboxes.id = d.key
    RETURNING 'sandbox', d.key, NULL, NULL, NULL::bytea $$;`;
