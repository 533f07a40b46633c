-- Up Migration
CREATE TABLE snapshots (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  snapshotter text NOT NULL,
  name text NOT NULL,
  revision bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('view', 'active', 'committed')),
  -- Only committed snapshots are parents, and their names never change: the name is kept to spare a join.
  parent text NOT NULL DEFAULT '',
  parent_uid uuid CONSTRAINT snapshots_parent REFERENCES snapshots (uid),
  generation text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  size_bytes bigint NOT NULL DEFAULT 0,
  inodes bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The transaction of the last change: the collector compares it with the snapshot of its mark.
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT snapshots_name UNIQUE (namespace, node, snapshotter, name),
  CONSTRAINT snapshots_generation UNIQUE (node, generation),
  CHECK ((parent = '') = (parent_uid IS NULL))
);

CREATE INDEX snapshots_children ON snapshots (parent_uid);

-- Directories that no record needs any more; the node confirms that one is gone, and its row goes.
CREATE TABLE tombstones (
  node text NOT NULL,
  generation text NOT NULL,
  namespace text NOT NULL,
  snapshotter text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (node, generation)
);

-- Generations of a snapshot's ancestors, nearest first; `nearest` is its `parent_uid`. In PL/pgSQL because that keeps the
-- plan, which takes longer to make than to run.
CREATE FUNCTION ancestors_of(nearest uuid) RETURNS text[] STABLE LANGUAGE plpgsql AS $$
BEGIN
  RETURN ARRAY(
    WITH RECURSIVE chain AS (
      SELECT s.parent_uid, s.generation, 1 AS depth FROM snapshots AS s WHERE s.uid = nearest
      UNION ALL
      SELECT s.parent_uid, s.generation, chain.depth + 1 FROM snapshots AS s JOIN chain ON s.uid = chain.parent_uid
    )
    SELECT generation FROM chain ORDER BY depth
  );
END
$$;

-- Nodes remember these records: see packages/postgres, scope-changes.ts.
CREATE TRIGGER snapshots_notify AFTER INSERT OR UPDATE OR DELETE ON snapshots FOR EACH ROW EXECUTE FUNCTION notify_scope();
