-- Up Migration

-- A node as it is now: for a statement that has waited for a lock, and sees by itself what there was before. Null when unknown.
CREATE FUNCTION node_now(in_id text) RETURNS nodes VOLATILE LANGUAGE plpgsql AS $$
DECLARE
  found_node nodes;
BEGIN
  SELECT * INTO found_node FROM nodes WHERE id = in_id;
  RETURN found_node;
END
$$;
