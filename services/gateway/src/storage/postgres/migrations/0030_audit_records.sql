-- The audit log, to be looked up at the edge for as long as it is configured to be kept; its events are told besides.
-- Up Migration

CREATE TABLE audit_records (
  id uuid PRIMARY KEY,
  -- When the call began, or the first of the refusals.
  at timestamptz NOT NULL,
  -- Empty for what is no namespace's, as the others are for what is not known.
  namespace text NOT NULL,
  caller text NOT NULL,
  action text NOT NULL,
  -- ok, failed, unknown or refused.
  result text NOT NULL,
  -- The longshore.audit.v1.AuditCall, or AuditRefusal when refused.
  payload bytea NOT NULL
);

CREATE INDEX audit_records_at ON audit_records (at, id);
CREATE INDEX audit_records_namespace ON audit_records (namespace, at, id);
CREATE INDEX audit_records_caller ON audit_records (caller, at, id);
