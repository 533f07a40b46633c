-- Up Migration

-- Namespaces that were created, or that something was written to.
CREATE TABLE namespaces (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT namespaces_name UNIQUE (namespace, node)
);

CREATE TABLE leases (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  id text NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  -- From the label containerd.io/gc.expire; null: does not expire.
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT leases_name UNIQUE (namespace, node, id)
);

CREATE INDEX leases_expiry ON leases (expires_at) WHERE expires_at IS NOT NULL;

-- What a lease keeps; the record need not exist. Kinds and keys are those of the collection contract.
CREATE TABLE lease_resources (
  lease uuid NOT NULL CONSTRAINT lease_resources_lease REFERENCES leases (uid) ON DELETE CASCADE,
  kind text NOT NULL,
  key text NOT NULL,
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (lease, kind, key)
);

-- Stored bytes, shared by all scopes. A digest that comes back after its removal has a new generation.
CREATE TABLE blobs (
  digest text PRIMARY KEY,
  generation uuid NOT NULL,
  size bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT blobs_generation UNIQUE (digest, generation)
);

-- Who holds a blob.
CREATE TABLE contents (
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  digest text NOT NULL,
  generation uuid NOT NULL,
  revision bigint NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT contents_name UNIQUE (namespace, node, digest),
  CONSTRAINT contents_blob FOREIGN KEY (digest, generation) REFERENCES blobs (digest, generation)
);

CREATE INDEX contents_digest ON contents (digest);

CREATE TABLE ingests (
  -- Names the bytes received so far, and becomes the generation of the blob.
  uid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  ref text NOT NULL,
  revision bigint NOT NULL,
  -- Announced size in bytes; 0 when unknown.
  total bigint NOT NULL,
  -- Bytes that survive a crash.
  durable_bytes bigint NOT NULL DEFAULT 0,
  -- The stored blob that a commit links, pinned until then.
  linked_digest text,
  linked_generation uuid,
  -- Null: lives as long as a lease refers to it.
  expires_at timestamptz,
  -- Counts the writers; only the last one may checkpoint and commit.
  epoch bigint NOT NULL DEFAULT 1,
  -- The instance of this service that writes, until when it must have said so again.
  writer text,
  writer_until timestamptz,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT ingests_name UNIQUE (namespace, node, ref),
  CONSTRAINT ingests_blob FOREIGN KEY (linked_digest, linked_generation) REFERENCES blobs (digest, generation)
);

CREATE INDEX ingests_linked ON ingests (linked_digest) WHERE linked_digest IS NOT NULL;
CREATE INDEX ingests_expiry ON ingests (expires_at) WHERE expires_at IS NOT NULL;

-- Bytes that nothing needs: a blob's generation, or with a null digest an ingest's parts. Never cancelled.
CREATE TABLE tombstones (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest text,
  generation uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX tombstones_generation ON tombstones (generation);

-- Nodes remember these records: see packages/postgres, scope-changes.ts.
CREATE TRIGGER contents_notify AFTER INSERT OR UPDATE OR DELETE ON contents FOR EACH ROW EXECUTE FUNCTION notify_scope();

-- Nodes remember these records: see packages/postgres, scope-changes.ts.
CREATE TRIGGER namespaces_notify AFTER INSERT OR UPDATE OR DELETE ON namespaces FOR EACH ROW EXECUTE FUNCTION notify_scope();
