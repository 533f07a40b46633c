-- Up Migration

-- Nodes keep copies of these records: see packages/postgres, record-watch.ts.
CREATE INDEX images_changed ON images (node, changed, uid);

CREATE TRIGGER images_deletion BEFORE DELETE ON images
  FOR EACH ROW EXECUTE FUNCTION log_deletion('image', 'name');
