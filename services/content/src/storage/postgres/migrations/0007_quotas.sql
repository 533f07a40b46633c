-- Up Migration

-- Limits of a namespace's name, over all nodes; null: the default; 0: none.
CREATE TABLE quotas (
  namespace text PRIMARY KEY,
  stored_bytes bigint,
  open_ingests bigint
);

-- Of namespaces without a limit of their own, from the configuration of the replica that was started last. One row.
CREATE TABLE quota_defaults (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  stored_bytes bigint NOT NULL,
  open_ingests bigint NOT NULL
);

-- What a namespace holds, on any node: each blob once. Kept by the triggers below.
CREATE TABLE namespace_blobs (
  namespace text NOT NULL,
  digest text NOT NULL,
  size bigint NOT NULL,
  PRIMARY KEY (namespace, digest)
);

-- The sum of their sizes, in parts: connections that store at the same time do not wait for one another.
CREATE TABLE namespace_bytes (
  namespace text NOT NULL,
  part integer NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (namespace, part)
);

CREATE FUNCTION quota_of(in_namespace text)
  RETURNS TABLE (stored_bytes bigint, open_ingests bigint) STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT coalesce(max(q.stored_bytes), max(d.stored_bytes), 0), coalesce(max(q.open_ingests), max(d.open_ingests), 0)
  FROM (SELECT in_namespace AS namespace) AS n
    LEFT JOIN quotas AS q ON q.namespace = n.namespace LEFT JOIN quota_defaults AS d ON true
$$;

CREATE FUNCTION used_bytes(in_namespace text)
  RETURNS bigint STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT coalesce(sum(bytes), 0)::bigint FROM namespace_bytes WHERE namespace = in_namespace
$$;

CREATE FUNCTION open_ingests(in_namespace text)
  RETURNS bigint STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT count(*) FROM ingests
  WHERE namespace = in_namespace AND (expires_at IS NULL OR expires_at > clock_timestamp())
$$;

-- To be caught by its SQLSTATE: see quota-error.ts.
CREATE FUNCTION refuse_by_quota(in_namespace text, in_what text, in_used bigint, in_limit bigint, in_more bigint)
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'quota exceeded' USING ERRCODE = 'LQ001',
    DETAIL = json_build_object('namespace', in_namespace, 'what', in_what, 'used', in_used, 'limit', in_limit,
      'more', in_more);
END
$$;

-- Two that come at once cannot pass together: from here on, the second waits for the end of the first one's transaction.
-- Only where there is a limit; nothing else is waited for under this lock.
CREATE FUNCTION lock_quota(in_namespace text) RETURNS void VOLATILE LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(1), 'quota', in_namespace), 0))
$$;

-- Throws unless a namespace may hold so many bytes more.
CREATE FUNCTION admit_bytes(in_namespace text, in_bytes bigint)
  RETURNS void VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  most bigint;
  used bigint;
BEGIN
  SELECT stored_bytes INTO most FROM quota_of(in_namespace);
  IF most = 0 OR in_bytes = 0 THEN
    RETURN;
  END IF;
  PERFORM lock_quota(in_namespace);
  used := used_bytes(in_namespace);
  IF used + in_bytes > most THEN
    PERFORM refuse_by_quota(in_namespace, 'bytes', used, most, in_bytes);
  END IF;
END
$$;

-- Throws unless a namespace may store a blob, of a digest if that is known; what it holds already costs nothing.
CREATE FUNCTION admit_blob(in_namespace text, in_digest text, in_size bigint)
  RETURNS void VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM namespace_blobs WHERE namespace = in_namespace AND digest = in_digest) THEN
    PERFORM admit_bytes(in_namespace, in_size);
  END IF;
END
$$;

-- Throws unless a namespace may open an ingest; of a new one, or one that had expired, the number counts.
CREATE FUNCTION admit_ingest(in_namespace text, in_digest text, in_size bigint, in_is_new boolean)
  RETURNS void VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  most bigint;
  used bigint;
BEGIN
  PERFORM admit_blob(in_namespace, in_digest, in_size);
  SELECT open_ingests INTO most FROM quota_of(in_namespace);
  IF most = 0 OR NOT in_is_new THEN
    RETURN;
  END IF;
  PERFORM lock_quota(in_namespace);
  used := open_ingests(in_namespace);
  IF used >= most THEN
    PERFORM refuse_by_quota(in_namespace, 'ingests', used, most, 1);
  END IF;
END
$$;

CREATE FUNCTION count_bytes(in_namespace text, in_bytes bigint)
  RETURNS void VOLATILE LANGUAGE sql SET search_path FROM CURRENT AS $$
  INSERT INTO namespace_bytes AS b (namespace, part, bytes) VALUES (in_namespace, pg_backend_pid() % 16, in_bytes)
  ON CONFLICT (namespace, part) DO UPDATE SET bytes = b.bytes + excluded.bytes
$$;

-- Rows of namespace_blobs are locked in the order of digests: shared by those who come to hold a blob, so that they do not
-- wait for one another; alone by those who let go of it, so that the last of them sees that it is the last.
CREATE FUNCTION hold_blobs() RETURNS trigger VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  in_namespace text;
  digests text[];
  locked integer;
  new_bytes bigint;
  more bigint;
BEGIN
  FOR in_namespace, digests IN SELECT namespace, array_agg(DISTINCT digest) FROM new_contents GROUP BY namespace LOOP
    more := 0;
    LOOP
      WITH added AS (
        INSERT INTO namespace_blobs (namespace, digest, size)
        SELECT in_namespace, b.digest, b.size FROM blobs AS b WHERE b.digest = ANY (digests) ORDER BY b.digest
        ON CONFLICT DO NOTHING RETURNING size
      )
      SELECT coalesce(sum(size), 0) INTO new_bytes FROM added;
      more := more + new_bytes;
      PERFORM FROM namespace_blobs AS h
      WHERE h.namespace = in_namespace AND h.digest = ANY (digests) ORDER BY h.digest FOR KEY SHARE;
      GET DIAGNOSTICS locked = ROW_COUNT;
      -- One that was there a moment ago may have gone with the last who held it.
      EXIT WHEN locked = cardinality(digests);
    END LOOP;
    IF more > 0 THEN
      PERFORM admit_bytes(in_namespace, more);
      PERFORM count_bytes(in_namespace, more);
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

CREATE FUNCTION release_blobs() RETURNS trigger VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  in_namespace text;
  digests text[];
  less bigint;
BEGIN
  FOR in_namespace, digests IN SELECT namespace, array_agg(DISTINCT digest) FROM old_contents GROUP BY namespace LOOP
    PERFORM FROM namespace_blobs AS h
    WHERE h.namespace = in_namespace AND h.digest = ANY (digests) ORDER BY h.digest FOR UPDATE;
    WITH gone AS (
      DELETE FROM namespace_blobs AS h
      WHERE h.namespace = in_namespace AND h.digest = ANY (digests)
        AND NOT EXISTS (SELECT FROM contents AS c WHERE c.digest = h.digest AND c.namespace = h.namespace)
      RETURNING h.size
    )
    SELECT coalesce(sum(size), 0) INTO less FROM gone;
    IF less > 0 THEN
      PERFORM count_bytes(in_namespace, -less);
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

-- They keep writers out until the end of this migration, so that what is counted below is all there is.
CREATE TRIGGER contents_held AFTER INSERT ON contents REFERENCING NEW TABLE AS new_contents
  FOR EACH STATEMENT EXECUTE FUNCTION hold_blobs();
CREATE TRIGGER contents_released AFTER DELETE ON contents REFERENCING OLD TABLE AS old_contents
  FOR EACH STATEMENT EXECUTE FUNCTION release_blobs();

INSERT INTO namespace_blobs (namespace, digest, size)
SELECT DISTINCT c.namespace, c.digest, b.size FROM contents AS c JOIN blobs AS b ON b.digest = c.digest;
INSERT INTO namespace_bytes (namespace, part, bytes)
SELECT namespace, 0, sum(size) FROM namespace_blobs GROUP BY namespace;

-- As in 0006_verification.sql, within the quotas.
CREATE OR REPLACE FUNCTION open_ingest(in_namespace text, in_node text, in_ref text, in_total bigint, in_expected text,
    in_lease text, in_shares boolean, in_writer text, in_lifetime_ms float8, in_writer_timeout_ms float8)
  RETURNS TABLE (outcome text, uid uuid, total bigint, durable_bytes bigint, linked_digest text,
    linked_generation uuid, epoch bigint, started_at timestamptz, updated_at timestamptz)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  lease_uid uuid;
  known ingests%ROWTYPE;
  linked blobs%ROWTYPE;
BEGIN
  PERFORM lock_scope(in_namespace, in_node, concat_ws(chr(1), 'ingests', in_namespace, in_node, in_ref));
  IF in_lease IS NOT NULL THEN
    SELECT l.uid INTO lease_uid FROM leases AS l
    WHERE l.namespace = in_namespace AND l.node = in_node AND l.id = in_lease FOR KEY SHARE;
    IF NOT FOUND THEN
      outcome := 'unleased';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;

  IF holds_content(in_namespace, in_node, in_expected) THEN
    INSERT INTO lease_resources (lease, kind, key) SELECT lease_uid, 'content', in_expected WHERE lease_uid IS NOT NULL
    ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id();
    outcome := 'held';
    RETURN NEXT;
    RETURN;
  END IF;

  SELECT * INTO known FROM ingests AS i
  WHERE i.namespace = in_namespace AND i.node = in_node AND i.ref = in_ref FOR UPDATE;
  IF known.writer_until > clock_timestamp() THEN
    outcome := 'locked';
    RETURN NEXT;
    RETURN;
  END IF;

  SELECT * INTO linked FROM blobs AS b
  WHERE b.digest = in_expected AND b.corrupt_at IS NULL AND (in_total = 0 OR in_total = b.size) AND
    (known.linked_digest = b.digest OR may_link(in_namespace, in_node, b.digest, in_shares));

  PERFORM admit_ingest(in_namespace, in_expected, coalesce(linked.size, in_total),
    known.uid IS NULL OR coalesce(known.expires_at <= clock_timestamp(), false));
  INSERT INTO namespaces (namespace, node, revision)
  SELECT in_namespace, in_node, nextval('revision')
  WHERE NOT EXISTS (SELECT FROM namespaces WHERE namespace = in_namespace AND node = in_node)
  ON CONFLICT DO NOTHING;
  INSERT INTO lease_resources (lease, kind, key) SELECT lease_uid, 'ingest', in_ref WHERE lease_uid IS NOT NULL
  ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id();

  -- A new ingest that a crash of the database forgets has lost nothing: its writer opens it again.
  IF known.uid IS NULL THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  RETURN QUERY
  INSERT INTO ingests AS i (namespace, node, ref, revision, total, linked_digest, linked_generation, durable_bytes,
    expires_at, writer, writer_until)
  VALUES (in_namespace, in_node, in_ref, nextval('revision'), coalesce(linked.size, in_total), linked.digest,
    linked.generation, coalesce(linked.size, 0),
    CASE WHEN lease_uid IS NULL THEN clock_timestamp() + in_lifetime_ms * interval '1 ms' END,
    in_writer, clock_timestamp() + in_writer_timeout_ms * interval '1 ms')
  ON CONFLICT ON CONSTRAINT ingests_name DO UPDATE SET
    revision = excluded.revision,
    total = CASE WHEN excluded.total > 0 THEN excluded.total ELSE i.total END,
    linked_digest = excluded.linked_digest,
    linked_generation = excluded.linked_generation,
    durable_bytes = CASE
      WHEN excluded.linked_digest IS NOT NULL THEN excluded.durable_bytes
      WHEN i.linked_digest IS NOT NULL OR excluded.total > 0 AND i.total > 0 AND excluded.total <> i.total THEN 0
      ELSE i.durable_bytes END,
    expires_at = coalesce(excluded.expires_at, i.expires_at),
    epoch = i.epoch + 1,
    writer = excluded.writer,
    writer_until = excluded.writer_until,
    updated_at = clock_timestamp(),
    changed = pg_current_xact_id()
  RETURNING 'opened', i.uid, i.total, i.durable_bytes, i.linked_digest, i.linked_generation, i.epoch, i.started_at,
    i.updated_at;
END
$$;
