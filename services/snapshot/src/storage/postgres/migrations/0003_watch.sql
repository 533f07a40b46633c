-- Up Migration

-- Nodes keep copies of these records: see packages/postgres, record-watch.ts.
CREATE INDEX snapshots_changed ON snapshots (node, changed, uid);

CREATE TRIGGER snapshots_deletion BEFORE DELETE ON snapshots
  FOR EACH ROW EXECUTE FUNCTION log_deletion('snapshot', 'snapshotter', 'name');
-- A commit renames: what had the key is gone from there.
CREATE TRIGGER snapshots_rename BEFORE UPDATE ON snapshots
  FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION log_deletion('snapshot', 'snapshotter', 'name');
