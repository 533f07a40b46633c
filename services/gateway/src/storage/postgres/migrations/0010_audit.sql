-- What the edge keeps of calls that change something: see services/gateway/src/audit.
-- Up Migration

-- Gateways that may have calls under way, and when each was heard of last. One that is silent for long has ended.
CREATE TABLE audit_gateways (
  id uuid PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row per call under way. Its end takes the row and writes the event.
CREATE TABLE audit_intents (
  id uuid PRIMARY KEY,
  -- A row of audit_gateways, which is checked when this one is written.
  gateway uuid NOT NULL,
  -- The longshore.audit.v1.AuditCall that is told if nobody hears how the call ended.
  payload bytea NOT NULL
) WITH (
  -- There are few rows at a time, and many in a day.
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000
);
