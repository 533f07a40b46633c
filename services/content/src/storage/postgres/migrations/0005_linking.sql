-- Up Migration

-- The sharing policy: whether a scope gains a stored blob without its bytes. It does when its namespace holds the blob on
-- any node or at the fleet edge; a node's scope also when that very node holds it in another namespace, unless the setting
-- (in_shares) is isolated; and whoever is on the same node as a namespace that its owner has labelled as shareable.
CREATE FUNCTION may_link(in_namespace text, in_node text, in_digest text, in_shares boolean)
  RETURNS boolean STABLE LANGUAGE sql SET search_path FROM CURRENT AS $$
  SELECT EXISTS (
    SELECT FROM contents AS c
    WHERE c.digest = in_digest AND (c.namespace = in_namespace OR c.node = in_node AND (in_shares AND in_node <> '_' OR EXISTS (
      SELECT FROM namespaces AS n
      WHERE n.namespace = c.namespace AND n.node = c.node
        AND n.labels ->> 'containerd.io/namespace.shareable' = 'true'))))
$$;

-- As in 0003_ingest_functions.sql, by the policy above.
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
  WHERE b.digest = in_expected AND (in_total = 0 OR in_total = b.size) AND
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

-- Makes content of blobs (an array of {digest, size, labels, payload}; size 0: any; payload of the event, base64) that are
-- stored and that the policy lets the scope have. Answers those that the scope holds afterwards, or one row without a
-- digest when there is no such lease. Content that was there gains labels that it lacks.
CREATE FUNCTION link_contents(in_namespace text, in_node text, in_blobs jsonb, in_lease text, in_shares boolean,
    in_topic text, in_type_url text)
  RETURNS TABLE (uid uuid, digest text, generation uuid, size bigint, revision bigint, labels jsonb,
    created_at timestamptz, updated_at timestamptz, is_new boolean)
  VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
  lease_uid uuid;
  linked text[];
  made text[];
BEGIN
  PERFORM lock_scope(in_namespace, in_node, VARIADIC array(
    SELECT concat_ws(chr(1), 'contents', in_namespace, in_node, w.digest)
    FROM jsonb_to_recordset(in_blobs) AS w (digest text) ORDER BY w.digest));
  IF in_lease IS NOT NULL THEN
    SELECT l.uid INTO lease_uid FROM leases AS l
    WHERE l.namespace = in_namespace AND l.node = in_node AND l.id = in_lease FOR KEY SHARE;
    IF NOT FOUND THEN
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;

  -- Waits for removals of the blobs: the next statement sees only those that stay.
  PERFORM FROM blobs AS b
  WHERE b.digest IN (SELECT w.digest FROM jsonb_to_recordset(in_blobs) AS w (digest text))
  ORDER BY b.digest FOR KEY SHARE;
  SELECT array_agg(b.digest) INTO linked
  FROM blobs AS b JOIN jsonb_to_recordset(in_blobs) AS w (digest text, size bigint) ON w.digest = b.digest
  WHERE (w.size = 0 OR w.size = b.size) AND may_link(in_namespace, in_node, b.digest, in_shares);
  IF linked IS NULL THEN
    RETURN;
  END IF;

  INSERT INTO namespaces (namespace, node, revision)
  SELECT in_namespace, in_node, nextval('revision')
  WHERE NOT EXISTS (SELECT FROM namespaces WHERE namespace = in_namespace AND node = in_node)
  ON CONFLICT DO NOTHING;
  INSERT INTO lease_resources (lease, kind, key)
  SELECT lease_uid, 'content', d FROM unnest(linked) AS d WHERE lease_uid IS NOT NULL ORDER BY d
  ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id();

  WITH new AS (
    INSERT INTO contents AS c (namespace, node, digest, generation, revision, labels)
    SELECT in_namespace, in_node, b.digest, b.generation, nextval('revision'), w.labels
    FROM jsonb_to_recordset(in_blobs) AS w (digest text, labels jsonb) JOIN blobs AS b ON b.digest = w.digest
    WHERE b.digest = ANY (linked)
    ON CONFLICT ON CONSTRAINT contents_name DO NOTHING
    RETURNING c.digest, c.revision
  ), told AS (
    INSERT INTO outbox (namespace, node, topic, subject, revision, type_url, payload)
    SELECT in_namespace, in_node, in_topic, new.digest, new.revision, in_type_url, decode(w.payload, 'base64')
    FROM new JOIN jsonb_to_recordset(in_blobs) AS w (digest text, payload text) ON w.digest = new.digest
  )
  SELECT array_agg(new.digest) INTO made FROM new;
  UPDATE contents AS c SET labels = w.labels || c.labels, revision = nextval('revision'),
    updated_at = clock_timestamp(), changed = pg_current_xact_id()
  FROM jsonb_to_recordset(in_blobs) AS w (digest text, labels jsonb)
  WHERE c.namespace = in_namespace AND c.node = in_node AND c.digest = w.digest AND c.digest = ANY (linked)
    AND w.labels || c.labels <> c.labels;

  RETURN QUERY
  SELECT c.uid, c.digest, c.generation, b.size, c.revision, c.labels, c.created_at, c.updated_at,
    c.digest = ANY (coalesce(made, '{}'))
  FROM contents AS c JOIN blobs AS b ON b.digest = c.digest
  WHERE c.namespace = in_namespace AND c.node = in_node AND c.digest = ANY (linked);
END
$$;

-- Who fetches a blob from a registry, for a namespace on all its nodes, while others wait.
CREATE TABLE claims (
  namespace text NOT NULL,
  registry text NOT NULL,
  digest text NOT NULL,
  holder text NOT NULL,
  -- The holder must have said that it goes on before.
  expires_at timestamptz NOT NULL,
  -- Bytes that the holder has so far.
  offset_bytes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (namespace, registry, digest)
);

CREATE INDEX claims_expiry ON claims (expires_at);

-- Those who wait may ask again: see claim-news.ts.
CREATE FUNCTION notify_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('longshore_claims', TG_TABLE_SCHEMA || ' ' || OLD.digest);
  RETURN NULL;
END
$$;

CREATE TRIGGER claims_notify AFTER DELETE ON claims FOR EACH ROW EXECUTE FUNCTION notify_claim();

-- Outcomes: 'stored': the scope can link the blob; 'held', until expires_at; 'busy': another has the claim, for
-- free_in_ms more unless it goes on. Those who wait for another's claim do not lock its row: they ask often, and are many.
CREATE FUNCTION acquire_claim(in_namespace text, in_node text, in_registry text, in_digest text, in_holder text,
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

-- What URLs of blobs are signed with, by all replicas; the last two are valid.
CREATE TABLE signing_keys (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
