-- Up Migration

-- The collection contract, version 1: see README.md.
CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';

CREATE VIEW gc_objects AS
  SELECT namespace, node, 'content' AS kind, digest AS key, uid, labels, true AS collectable, changed FROM contents
  UNION ALL
  SELECT namespace, node, 'ingest', ref, uid, '{}', true, changed FROM ingests
  UNION ALL
  SELECT namespace, node, 'lease', id, uid, '{}', true, changed FROM leases;

CREATE VIEW gc_roots AS
  SELECT namespace, node, 'lease' AS kind, id AS key, false AS flat, changed FROM leases
  WHERE expires_at IS NULL OR expires_at > now()
  UNION ALL
  SELECT l.namespace, l.node, r.kind, r.key, l.labels ? 'containerd.io/gc.flat', greatest(l.changed, r.changed)
  FROM leases AS l JOIN lease_resources AS r ON r.lease = l.uid
  WHERE l.expires_at IS NULL OR l.expires_at > now()
  UNION ALL
  SELECT namespace, node, 'ingest', ref, false, changed FROM ingests WHERE expires_at > now();

CREATE VIEW gc_references AS
  SELECT namespace, node, 'ingest' AS from_kind, ref AS from_key, 'content' AS to_kind, linked_digest AS to_key, changed
  FROM ingests WHERE linked_digest IS NOT NULL;

CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
  RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH doomed AS (
    SELECT * FROM unnest(in_kinds, in_keys, in_uids) AS d (kind, key, uid)
  ), gone_leases AS (
    DELETE FROM leases AS l USING doomed AS d
    WHERE d.kind = 'lease' AND l.namespace = in_namespace AND l.node = in_node AND l.id = d.key AND l.uid = d.uid
    RETURNING l.id
  ), gone_contents AS (
    DELETE FROM contents AS c USING doomed AS d
    WHERE d.kind = 'content' AND c.namespace = in_namespace AND c.node = in_node AND c.digest = d.key AND c.uid = d.uid
    RETURNING c.digest
  ), gone_ingests AS (
    DELETE FROM ingests AS i USING doomed AS d
    WHERE d.kind = 'ingest' AND i.namespace = in_namespace AND i.node = in_node AND i.ref = d.key AND i.uid = d.uid
    RETURNING i.ref, i.uid
  ), buried AS (
    INSERT INTO tombstones (generation) SELECT uid FROM gone_ingests
  )
  SELECT 'lease', id, NULL, NULL, NULL::bytea FROM gone_leases
  UNION ALL
  SELECT 'content', digest, NULL, NULL, NULL FROM gone_contents
  UNION ALL
  SELECT 'ingest', ref, NULL, NULL, NULL FROM gone_ingests;
END
$$;
