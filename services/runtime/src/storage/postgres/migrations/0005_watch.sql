-- Up Migration

-- Nodes keep copies of these records: see packages/postgres, record-watch.ts.
CREATE INDEX containers_changed ON containers (node, changed, uid);
CREATE INDEX sandboxes_changed ON sandboxes (node, changed, uid);

CREATE TRIGGER containers_deletion BEFORE DELETE ON containers
  FOR EACH ROW EXECUTE FUNCTION log_deletion('container', 'id');
CREATE TRIGGER sandboxes_deletion BEFORE DELETE ON sandboxes
  FOR EACH ROW EXECUTE FUNCTION log_deletion('sandbox', 'id');
CREATE TRIGGER sandboxes_notify AFTER INSERT OR UPDATE OR DELETE ON sandboxes
  FOR EACH ROW EXECUTE FUNCTION notify_scope();
