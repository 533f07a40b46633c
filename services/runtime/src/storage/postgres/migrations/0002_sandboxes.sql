-- Up Migration
CREATE TABLE sandboxes (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  id text NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  runtime_name text NOT NULL,
  runtime_options jsonb,
  spec jsonb,
  extensions jsonb NOT NULL DEFAULT '{}',
  sandboxer text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT sandboxes_name UNIQUE (namespace, node, id)
);
