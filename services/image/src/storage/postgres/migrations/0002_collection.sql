-- Up Migration

-- The collection contract, version 1: see services/content/README.md.
CREATE FUNCTION gc_version() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1';

CREATE VIEW gc_objects AS
  SELECT namespace, node, 'image' AS kind, name AS key, uid, labels, true AS collectable, changed FROM images;

CREATE VIEW gc_roots AS
  SELECT namespace, node, 'image' AS kind, name AS key, false AS flat, changed FROM images
  WHERE expires_at IS NULL OR expires_at > now();

CREATE VIEW gc_references AS
  SELECT namespace, node, 'image' AS from_kind, name AS from_key, 'content' AS to_kind, target_digest AS to_key, changed
  FROM images;

CREATE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
  RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH gone AS (
    DELETE FROM images AS i USING unnest(in_kinds, in_keys, in_uids) AS doomed (kind, name, uid)
    WHERE i.namespace = in_namespace AND i.node = in_node AND doomed.kind = 'image'
      AND i.name = doomed.name AND i.uid = doomed.uid
    RETURNING i.name
  ), told AS (
    INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
    SELECT in_namespace, in_node, '/images/delete', name, nextval('revision'),
      'containerd.services.images.v1.ImageDelete', gc_string_field(1, name)
    FROM gone
    RETURNING subject, topic, type_url, payload
  )
  SELECT 'image', subject, topic, type_url, payload FROM told;
END
$$;
