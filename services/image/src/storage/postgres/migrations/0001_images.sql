-- Up Migration
CREATE TABLE images (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  name text NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  target_media_type text NOT NULL,
  target_digest text NOT NULL,
  target_size bigint NOT NULL,
  target_annotations jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  -- From the label containerd.io/gc.expire; null when it has none that can be read.
  expires_at timestamptz,
  -- The transaction of the last change: the collector compares it with the snapshot of its mark.
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT images_name UNIQUE (namespace, node, name)
);

-- Nodes remember these records: see packages/postgres, scope-changes.ts.
CREATE TRIGGER images_notify AFTER INSERT OR UPDATE OR DELETE ON images FOR EACH ROW EXECUTE FUNCTION notify_scope();
