-- Up Migration

-- The collection contract, version 1: see services/content/README.md. Containers and sandboxes keep what they refer
-- to, and are never collected themselves.
CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';

CREATE VIEW gc_objects AS
  SELECT namespace, node, 'container' AS kind, id AS key, uid, labels, false AS collectable, changed FROM containers
  UNION ALL
  SELECT namespace, node, 'sandbox', id, uid, labels, false, changed FROM sandboxes;

CREATE VIEW gc_roots AS
  SELECT namespace, node, kind, key, false AS flat, changed FROM gc_objects;

CREATE VIEW gc_references AS
  SELECT namespace, node, 'container' AS from_kind, id AS from_key, 'snapshot' AS to_kind,
    snapshotter || '/' || snapshot_key AS to_key, changed
  FROM containers WHERE snapshotter <> '' AND snapshot_key <> '';

CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
  RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RETURN;
END
$$;
