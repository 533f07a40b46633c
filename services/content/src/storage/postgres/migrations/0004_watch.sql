-- Up Migration

-- Nodes keep copies of these records: see packages/postgres, record-watch.ts.
ALTER TABLE namespaces ADD COLUMN changed xid8 NOT NULL DEFAULT pg_current_xact_id();

-- Also for a version of this service that does not know of the column.
CREATE FUNCTION stamp_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END
$$;
CREATE TRIGGER namespaces_changed BEFORE UPDATE ON namespaces FOR EACH ROW EXECUTE FUNCTION stamp_changed();

CREATE INDEX contents_changed ON contents (node, changed, uid);
CREATE INDEX namespaces_changed ON namespaces (node, changed, uid);

CREATE TRIGGER contents_deletion BEFORE DELETE ON contents
  FOR EACH ROW EXECUTE FUNCTION log_deletion('content', 'digest');
CREATE TRIGGER namespaces_deletion BEFORE DELETE ON namespaces
  FOR EACH ROW EXECUTE FUNCTION log_deletion('namespace', 'namespace');

-- The same instant for both, as what a commit answers has it.
ALTER TABLE contents
  ALTER COLUMN created_at SET DEFAULT statement_timestamp(),
  ALTER COLUMN updated_at SET DEFAULT statement_timestamp();
