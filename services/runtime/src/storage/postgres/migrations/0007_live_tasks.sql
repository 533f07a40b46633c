-- Up Migration

-- Tasks whose containers were deleted while their nodes said that they ran: until a node says that one runs no more, what it has
-- mounted is kept.
CREATE TABLE live_tasks (
  namespace text NOT NULL,
  node text NOT NULL,
  id text NOT NULL,
  snapshotter text NOT NULL,
  snapshot_key text NOT NULL,
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (node, namespace, id)
);
CREATE INDEX live_tasks_changed ON live_tasks (node, changed);

CREATE OR REPLACE VIEW gc_roots AS
  SELECT namespace, node, kind, key, false AS flat, changed FROM gc_objects
  UNION ALL
  SELECT namespace, node, 'task', id, false, changed FROM live_tasks;

CREATE OR REPLACE VIEW gc_references AS
  SELECT namespace, node, 'container' AS from_kind, id AS from_key, 'snapshot' AS to_kind,
    snapshotter || '/' || snapshot_key AS to_key, changed
  FROM containers WHERE snapshotter <> '' AND snapshot_key <> ''
  UNION ALL
  SELECT namespace, node, 'task', id, 'snapshot', snapshotter || '/' || snapshot_key, changed FROM live_tasks;
