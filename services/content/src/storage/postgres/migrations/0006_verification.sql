-- Up Migration

-- A blob's bytes are read again now and then. One whose bytes are wrong or missing is quarantined: it is neither read nor
-- linked, and the next commit of its digest replaces the bytes for everyone who holds it.
ALTER TABLE blobs
  -- When all bytes were read again last and were right; null: only as they came in.
  ADD COLUMN verified_at timestamptz,
  -- Since when it is quarantined, and why.
  ADD COLUMN corrupt_at timestamptz,
  ADD COLUMN corrupt_reason text,
  -- When a quarantined blob was looked at last: what was only missing for a time may come back.
  ADD COLUMN rechecked_at timestamptz;

CREATE INDEX blobs_verification ON blobs ((coalesce(verified_at, created_at)));
CREATE INDEX blobs_corrupt ON blobs (digest) WHERE corrupt_at IS NOT NULL;

-- New bytes of a quarantined blob are a new generation, for all who refer to it.
ALTER TABLE contents
  DROP CONSTRAINT contents_blob,
  ADD CONSTRAINT contents_blob FOREIGN KEY (digest, generation) REFERENCES blobs (digest, generation) ON UPDATE CASCADE;
ALTER TABLE ingests
  DROP CONSTRAINT ingests_blob,
  ADD CONSTRAINT ingests_blob FOREIGN KEY (linked_digest, linked_generation) REFERENCES blobs (digest, generation)
    ON UPDATE CASCADE;

-- Events of stored bytes are of no namespace: they tell operators. The payload, longshore.content.v1.BlobCorrupt or
-- BlobRestored, has the digest, why, and the namespaces that hold it.
CREATE FUNCTION tell_of_blob(in_topic text, in_type_url text, in_digest text, in_reason text)
  RETURNS void VOLATILE LANGUAGE sql SET search_path FROM CURRENT AS $$
  INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
  VALUES ('_', '_', in_topic, in_digest, nextval('revision'), in_type_url,
    gc_string_field(1, in_digest) || gc_string_field(2, in_reason) || coalesce((
      SELECT string_agg(gc_string_field(3, h.namespace), ''::bytea ORDER BY h.namespace)
      FROM (SELECT DISTINCT namespace FROM contents WHERE digest = in_digest) AS h), ''))
$$;

-- Whether a scope holds a blob that can be read.
CREATE FUNCTION holds_content(in_namespace text, in_node text, in_digest text)
  RETURNS boolean STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT EXISTS (SELECT FROM contents WHERE namespace = in_namespace AND node = in_node AND digest = in_digest)
    AND NOT EXISTS (SELECT FROM blobs WHERE digest = in_digest AND corrupt_at IS NOT NULL)
$$;

-- As in 0005_linking.sql, but never a quarantined blob.
CREATE OR REPLACE FUNCTION may_link(in_namespace text, in_node text, in_digest text, in_shares boolean)
  RETURNS boolean STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT NOT EXISTS (SELECT FROM blobs AS b WHERE b.digest = in_digest AND b.corrupt_at IS NOT NULL) AND EXISTS (
    SELECT FROM contents AS c
    WHERE c.digest = in_digest AND (c.namespace = in_namespace OR c.node = in_node AND (in_shares AND in_node <> '_' OR EXISTS (
      SELECT FROM namespaces AS n
      WHERE n.namespace = c.namespace AND n.node = c.node
        AND n.labels ->> 'containerd.io/namespace.shareable' = 'true'))))
$$;

-- Records stored bytes, and answers the generation that the digest has then: another than given when it was stored already.
-- Bytes of a quarantined blob are replaced by these. Null for a writer that has none of its own, but links such a blob.
CREATE FUNCTION store_blob(in_digest text, in_generation uuid, in_size bigint, in_has_bytes boolean)
  RETURNS uuid VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  stored blobs%ROWTYPE;
BEGIN
  -- The update changes nothing: it locks the row that is there.
  INSERT INTO blobs AS b (digest, generation, size) VALUES (in_digest, in_generation, in_size)
  ON CONFLICT (digest) DO UPDATE SET size = b.size
  RETURNING b.* INTO stored;
  IF stored.corrupt_at IS NULL THEN
    RETURN stored.generation;
  ELSIF NOT in_has_bytes THEN
    RETURN NULL;
  END IF;
  INSERT INTO tombstones (digest, generation) VALUES (in_digest, stored.generation);
  UPDATE blobs SET generation = in_generation, size = in_size, created_at = clock_timestamp(), verified_at = NULL,
    corrupt_at = NULL, corrupt_reason = NULL, rechecked_at = NULL
  WHERE digest = in_digest;
  PERFORM tell_of_blob('/content/restored', 'longshore.content.v1.BlobRestored', in_digest, 'stored anew');
  RETURN in_generation;
END
$$;

-- Quarantines a blob, if it still has that generation. Ingests that link it have no bytes of their own: their writers begin
-- anew. Answers whether it was not quarantined before; null when it does not have that generation any more.
CREATE FUNCTION quarantine_blob(in_digest text, in_generation uuid, in_reason text)
  RETURNS boolean VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  was_corrupt boolean;
BEGIN
  SELECT corrupt_at IS NOT NULL INTO was_corrupt FROM blobs
  WHERE digest = in_digest AND generation = in_generation FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE blobs SET corrupt_at = coalesce(corrupt_at, clock_timestamp()), corrupt_reason = in_reason,
    rechecked_at = clock_timestamp()
  WHERE digest = in_digest;
  IF was_corrupt THEN
    RETURN false;
  END IF;
  WITH gone AS (DELETE FROM ingests WHERE linked_digest = in_digest RETURNING uid)
  INSERT INTO tombstones (generation) SELECT uid FROM gone;
  PERFORM tell_of_blob('/content/corrupt', 'longshore.content.v1.BlobCorrupt', in_digest, in_reason);
  RETURN true;
END
$$;

-- The bytes of a blob were read whole and are right; ends its quarantine. Answers whether there was one.
CREATE FUNCTION confirm_blob(in_digest text, in_generation uuid)
  RETURNS boolean VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  was_corrupt boolean;
BEGIN
  SELECT corrupt_at IS NOT NULL INTO was_corrupt FROM blobs
  WHERE digest = in_digest AND generation = in_generation FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE blobs SET verified_at = clock_timestamp(), corrupt_at = NULL, corrupt_reason = NULL, rechecked_at = NULL
  WHERE digest = in_digest;
  IF was_corrupt THEN
    PERFORM tell_of_blob('/content/restored', 'longshore.content.v1.BlobRestored', in_digest, 'read again');
  ELSE
    -- A crash of the database that forgets this costs one more reading.
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  RETURN was_corrupt;
END
$$;

-- As in 0005_linking.sql, but a quarantined blob is neither held nor linked.
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

-- As in 0003_ingest_functions.sql, with store_blob; 'lost' also when what it links was quarantined.
CREATE OR REPLACE FUNCTION commit_ingest(in_uid uuid, in_epoch bigint, in_namespace text, in_node text, in_ref text,
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

  generation := store_blob(in_digest, in_generation, in_size, in_generation = in_uid);
  IF generation IS NULL THEN
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;

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
