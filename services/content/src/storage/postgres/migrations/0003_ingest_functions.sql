-- Up Migration

-- What a pull does for every blob: open an ingest, and commit it. As functions they are one round trip each, and
-- their plans are kept. Each statement inside sees what was committed before it, so also what a lock waited for.

-- The scope's lock of the collection contract, shared, and then the locks of names, as lockName takes them.
CREATE FUNCTION lock_scope(in_namespace text, in_node text, VARIADIC in_names text[])
  RETURNS void VOLATILE LANGUAGE plpgsql AS $$
DECLARE
  in_name text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended(concat_ws(chr(1), 'gc', in_namespace, in_node), 0));
  FOREACH in_name IN ARRAY in_names LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended(in_name, 0));
  END LOOP;
END
$$;

-- Outcomes: 'opened', with the ingest; 'held': the scope has the expected blob; 'locked': another writer has the ref;
-- 'unleased': there is no such lease. A blob may be linked when its namespace holds it on any node, or its node in
-- any namespace that shares, or the ref has it linked already. What has arrived stays, unless another size is
-- announced or a blob is linked now.
CREATE FUNCTION open_ingest(in_namespace text, in_node text, in_ref text, in_total bigint, in_expected text,
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

  IF EXISTS (SELECT FROM contents WHERE namespace = in_namespace AND node = in_node AND digest = in_expected) THEN
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
  WHERE b.digest = in_expected AND (in_total = 0 OR in_total = b.size) AND (known.linked_digest = b.digest OR EXISTS (
    SELECT FROM contents AS c
    WHERE c.digest = b.digest AND (c.namespace = in_namespace OR c.node = in_node AND (in_shares OR EXISTS (
      SELECT FROM namespaces AS n
      WHERE n.namespace = c.namespace AND n.node = c.node
        AND n.labels ->> 'containerd.io/namespace.shareable' = 'true')))));

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

-- Outcomes: 'created', with the new content; 'held': the scope had the blob already; 'lost': the writer is not the
-- last one, or the ingest is gone; 'unleased'. The generation is that of the stored blob, which may have been there.
CREATE FUNCTION commit_ingest(in_uid uuid, in_epoch bigint, in_namespace text, in_node text, in_ref text,
    in_digest text, in_generation uuid, in_size bigint, in_labels jsonb, in_lease text, in_topic text,
    in_type_url text, in_payload bytea)
  RETURNS TABLE (outcome text, uid uuid, revision bigint, created_at timestamptz, generation uuid)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  lease_uid uuid;
BEGIN
  PERFORM lock_scope(in_namespace, in_node, concat_ws(chr(1), 'contents', in_namespace, in_node, in_digest),
    concat_ws(chr(1), 'ingests', in_namespace, in_node, in_ref));
  IF in_lease IS NOT NULL THEN
    SELECT l.uid INTO lease_uid FROM leases AS l
    WHERE l.namespace = in_namespace AND l.node = in_node AND l.id = in_lease FOR KEY SHARE;
    IF NOT FOUND THEN
      outcome := 'unleased';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;

  DELETE FROM ingests AS i WHERE i.uid = in_uid AND i.epoch = in_epoch;
  IF NOT FOUND THEN
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;

  -- The update changes nothing: it locks the row that is there, and gives its generation.
  INSERT INTO blobs AS b (digest, generation, size) VALUES (in_digest, in_generation, in_size)
  ON CONFLICT (digest) DO UPDATE SET size = b.size
  RETURNING b.generation INTO generation;

  INSERT INTO contents AS c (namespace, node, digest, generation, revision, labels)
  VALUES (in_namespace, in_node, in_digest, commit_ingest.generation, nextval('revision'), in_labels)
  ON CONFLICT ON CONSTRAINT contents_name DO NOTHING
  RETURNING 'created', c.uid, c.revision, c.created_at INTO outcome, uid, revision, created_at;
  outcome := coalesce(outcome, 'held');

  INSERT INTO lease_resources (lease, kind, key) SELECT lease_uid, 'content', in_digest WHERE lease_uid IS NOT NULL
  ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id();
  DELETE FROM lease_resources WHERE lease = lease_uid AND kind = 'ingest' AND key = in_ref;

  IF outcome = 'created' THEN
    INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
    VALUES (in_namespace, in_node, in_topic, in_digest, commit_ingest.revision, in_type_url, in_payload);
  END IF;
  RETURN NEXT;
END
$$;
