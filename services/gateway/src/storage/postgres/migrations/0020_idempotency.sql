-- Up Migration

-- Requests that callers may repeat, and what they were answered.
CREATE TABLE idempotency_keys (
  caller text NOT NULL,
  key text NOT NULL,
  request_hash bytea NOT NULL,
  -- Of the request that works on it, until then; afterwards another may.
  claim uuid NOT NULL,
  claimed_until timestamptz NOT NULL,
  -- Null until it was answered.
  status integer,
  headers jsonb,
  body text,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (caller, key)
);
CREATE UNIQUE INDEX idempotency_keys_claim ON idempotency_keys (claim);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);
