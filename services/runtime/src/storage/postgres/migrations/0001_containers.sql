-- Up Migration
CREATE TABLE containers (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  id text NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  image text NOT NULL DEFAULT '',
  runtime_name text NOT NULL,
  runtime_options jsonb,
  spec_type_url text NOT NULL,
  spec bytea NOT NULL,
  snapshotter text NOT NULL DEFAULT '',
  snapshot_key text NOT NULL DEFAULT '',
  extensions jsonb NOT NULL DEFAULT '{}',
  sandbox text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  -- The transaction of the last change: the collector compares it with the snapshot of its mark.
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT containers_name UNIQUE (namespace, node, id)
);

CREATE TABLE nodes (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  id text NOT NULL CONSTRAINT nodes_id UNIQUE,
  revision bigint NOT NULL,
  address text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  hostname text NOT NULL,
  kernel text NOT NULL,
  architecture text NOT NULL,
  cgroup_version integer NOT NULL,
  software_version text NOT NULL,
  snapshotters text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  last_seen_at timestamptz NOT NULL DEFAULT statement_timestamp()
);

-- Nodes remember these records: see packages/postgres, scope-changes.ts.
CREATE TRIGGER containers_notify AFTER INSERT OR UPDATE OR DELETE ON containers FOR EACH ROW EXECUTE FUNCTION notify_scope();
