-- Up Migration

-- As in 0005_linking.sql, but those who wait for another's claim do not lock its row: they ask often, and are many.
CREATE OR REPLACE FUNCTION acquire_claim(in_namespace text, in_node text, in_registry text, in_digest text, in_holder text,
    in_ttl_ms float8, in_shares boolean)
  RETURNS TABLE (outcome text, expires_at timestamptz, offset_bytes bigint, free_in_ms float8)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  is_held boolean := false;
BEGIN
  outcome := 'stored';
  IF may_link(in_namespace, in_node, in_digest, in_shares) THEN
    RETURN NEXT;
    RETURN;
  END IF;
  SELECT c.expires_at, c.offset_bytes, extract(epoch FROM c.expires_at - clock_timestamp()) * 1000
  INTO expires_at, offset_bytes, free_in_ms
  FROM claims AS c
  WHERE c.namespace = in_namespace AND c.registry = in_registry AND c.digest = in_digest AND c.holder <> in_holder
    AND c.expires_at > clock_timestamp();
  IF FOUND THEN
    outcome := 'busy';
    RETURN NEXT;
    RETURN;
  END IF;
  INSERT INTO claims AS c (namespace, registry, digest, holder, expires_at)
  VALUES (in_namespace, in_registry, in_digest, in_holder, clock_timestamp() + in_ttl_ms * interval '1 ms')
  ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE SET holder = excluded.holder,
    expires_at = clock_timestamp() + in_ttl_ms * interval '1 ms',
    offset_bytes = CASE WHEN c.holder = excluded.holder THEN c.offset_bytes ELSE 0 END
  WHERE c.holder = excluded.holder OR c.expires_at <= clock_timestamp()
  RETURNING true, c.expires_at INTO is_held, expires_at;
  -- The last holder may have stored the blob since the first look.
  IF may_link(in_namespace, in_node, in_digest, in_shares) THEN
    DELETE FROM claims AS c
    WHERE is_held AND c.namespace = in_namespace AND c.registry = in_registry AND c.digest = in_digest;
  ELSIF is_held THEN
    outcome := 'held';
  ELSE
    outcome := 'busy';
    SELECT c.expires_at, c.offset_bytes, extract(epoch FROM c.expires_at - clock_timestamp()) * 1000
    INTO expires_at, offset_bytes, free_in_ms
    FROM claims AS c WHERE c.namespace = in_namespace AND c.registry = in_registry AND c.digest = in_digest;
  END IF;
  RETURN NEXT;
END
$$;
