-- Up Migration

-- Sandboxes that are left in a namespace go with it, as in containerd. Collections never ask for them.
CREATE OR REPLACE FUNCTION gc_delete(in_namespace text, in_node text, in_kinds text[], in_keys text[], in_uids uuid[])
  RETURNS TABLE (kind text, key text, topic text, type_url text, payload bytea)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH gone AS (
    DELETE FROM sandboxes AS s USING unnest(in_kinds, in_keys, in_uids) AS doomed (kind, id, uid)
    WHERE s.namespace = in_namespace AND s.node = in_node AND doomed.kind = 'sandbox'
      AND s.id = doomed.id AND s.uid = doomed.uid
    RETURNING s.id
  )
  SELECT 'sandbox', id, NULL, NULL, NULL::bytea FROM gone;
END
$$;
