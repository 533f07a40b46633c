-- What the collector of the content service knows of this schema; the contract is in that service's README.
-- Up Migration
CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';

CREATE VIEW gc_objects AS
  SELECT namespace, node, 'snapshot' AS kind, snapshotter || '/' || name AS key, uid, labels, true AS collectable,
    changed
  FROM snapshots;

-- No snapshot stays by itself: leases and containers keep them, and the collector reads the label gc.root.
CREATE VIEW gc_roots AS
  SELECT namespace, node, 'snapshot' AS kind, snapshotter || '/' || name AS key, false AS flat, changed
  FROM snapshots WHERE false;

CREATE VIEW gc_references AS
  SELECT namespace, node, 'snapshot' AS from_kind, snapshotter || '/' || name AS from_key, 'snapshot' AS to_kind,
    snapshotter || '/' || parent AS to_key, changed
  FROM snapshots WHERE parent <> '';

-- The payload is a containerd.events.SnapshotRemove. A child that is not among the doomed makes the call fail, by
-- its foreign key.
CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
  RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH doomed AS (
    SELECT uid, key, place FROM unnest(in_kinds, in_keys, in_uids) WITH ORDINALITY AS given (kind, key, uid, place)
    WHERE given.kind = 'snapshot'
  ), gone AS (
    DELETE FROM snapshots AS s USING doomed
    WHERE s.uid = doomed.uid AND s.namespace = in_namespace AND s.node = in_node
      AND s.snapshotter || '/' || s.name = doomed.key
    RETURNING s.snapshotter, s.name, s.generation, doomed.key, doomed.place
  ), buried AS (
    INSERT INTO tombstones (node, generation, namespace, snapshotter)
    SELECT in_node, generation, in_namespace, snapshotter FROM gone
  ), told AS (
    INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
    SELECT in_namespace, in_node, '/snapshot/remove', gone.key, nextval('revision'),
      'containerd.events.SnapshotRemove', gc_string_field(1, name) || gc_string_field(5, snapshotter)
    FROM gone ORDER BY place
    RETURNING seq, subject, topic, type_url, payload
  )
  SELECT 'snapshot', subject, topic, type_url, payload FROM told ORDER BY seq;
END
$$;
