-- Up Migration

-- What a node is to the fleet. Nodes that reported before this migration are ready.
ALTER TABLE nodes
  ADD COLUMN state text NOT NULL DEFAULT 'ready'
    CONSTRAINT nodes_state CHECK (state IN ('joining', 'ready', 'unreachable', 'draining', 'gone')),
  ADD COLUMN cordoned boolean NOT NULL DEFAULT false,
  -- Null when no drain was asked for; else how long tasks may take to end by themselves.
  ADD COLUMN drain_grace_ms bigint,
  -- What operators gave; `labels` is what the agent reports.
  ADD COLUMN operator_labels jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN machine_id text NOT NULL DEFAULT '',
  ADD COLUMN capacity_cpus integer NOT NULL DEFAULT 0,
  ADD COLUMN capacity_memory_bytes bigint NOT NULL DEFAULT 0,
  ADD COLUMN capacity_disk_bytes bigint NOT NULL DEFAULT 0,
  ADD COLUMN runtimes text[] NOT NULL DEFAULT '{}',
  ADD COLUMN notice text NOT NULL DEFAULT '',
  -- A node that is gone, and whose records are not all removed yet.
  ADD COLUMN forgetting boolean NOT NULL DEFAULT false;

-- Written several times a second: narrow, without triggers, and with room for updates in place.
CREATE TABLE node_heartbeats (
  node_id text PRIMARY KEY,
  last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  running_tasks integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.5);

INSERT INTO node_heartbeats (node_id, last_seen_at) SELECT id, last_seen_at FROM nodes;

-- One-time: used in the transaction that makes the node.
CREATE TABLE join_tokens (
  id uuid PRIMARY KEY,
  -- SHA-256: the secret is random and long, so there is nothing to guess.
  secret_hash bytea NOT NULL,
  -- Empty: good for any id.
  node_id text NOT NULL DEFAULT '',
  labels jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  used_by text NOT NULL DEFAULT '',
  used_machine_id text NOT NULL DEFAULT '',
  -- SHA-256 of the public key that the token was traded for.
  used_key_hash bytea
);

CREATE TABLE certificates (
  -- Lower-case hexadecimal, without leading zeros.
  serial text PRIMARY KEY,
  -- e.g. `node/n1`; empty for a certificate that was revoked by its number and is not known otherwise.
  identity text NOT NULL,
  issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  not_after timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX certificates_identity ON certificates (identity);
CREATE INDEX certificates_revoked ON certificates (not_after) WHERE revoked_at IS NOT NULL;

-- Which certificate authority issues for this database: a replica that has another one must not.
CREATE TABLE authority (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  fingerprint text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A container that is to go once its node says that no task of it runs.
ALTER TABLE containers ADD COLUMN deleting_at timestamptz;
-- For looking a container up over all nodes.
CREATE INDEX containers_id ON containers (namespace, id);
