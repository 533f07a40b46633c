export const COLUMNS = `uid, namespace, node, ref, total, durable_bytes, linked_digest, linked_generation, epoch, started_at,
  updated_at`;
export const BY_NAME = 'namespace = $1 AND node = $2 AND ref = $3';

/**
 * A blob may be linked when its namespace holds it on any node, or its node in any namespace that shares, or the
 * ref has it linked already. Parameters: namespace, node, ref, digest, whether namespaces share.
 */
export const FIND = `
  SELECT
    EXISTS (SELECT FROM contents WHERE namespace = $1 AND node = $2 AND digest = $4) AS held,
    EXISTS (SELECT FROM ingests WHERE ${BY_NAME} AND writer_until > clock_timestamp()) AS locked,
    b.generation, b.size
  FROM (SELECT) AS always LEFT JOIN blobs AS b ON b.digest = $4 AND (
    EXISTS (
      SELECT FROM contents AS c
      WHERE c.digest = b.digest AND (c.namespace = $1 OR c.node = $2 AND ($5 OR EXISTS (
        SELECT FROM namespaces AS n WHERE n.namespace = c.namespace AND n.node = c.node
          AND n.labels ->> 'containerd.io/namespace.shareable' = 'true')))
    )
    OR EXISTS (SELECT FROM ingests WHERE ${BY_NAME} AND linked_digest = b.digest)
  )`;

/**
 * Makes the ingest, or takes it over for the next writer: what has arrived stays unless another size is announced
 * or a blob is linked now. Parameters: namespace, node, ref, total, linked digest and generation, lease, lifetime,
 * instance, writer timeout.
 */
export const OPEN = `
  WITH known_namespace AS (
    INSERT INTO namespaces (namespace, node, revision)
    SELECT $1::text, $2::text, nextval('revision')
    WHERE NOT EXISTS (SELECT FROM namespaces WHERE namespace = $1 AND node = $2)
    ON CONFLICT DO NOTHING
  ), leased AS (
    INSERT INTO lease_resources (lease, kind, key)
    SELECT $7::uuid, 'ingest', $3::text WHERE $7::uuid IS NOT NULL
    ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()
  )
  INSERT INTO ingests AS i (namespace, node, ref, revision, total, linked_digest, linked_generation, durable_bytes,
    expires_at, writer, writer_until)
  VALUES ($1, $2, $3, nextval('revision'), $4::bigint, $5::text, $6::uuid, CASE WHEN $5::text IS NULL THEN 0 ELSE $4::bigint END,
    CASE WHEN $7::uuid IS NULL THEN clock_timestamp() + $8::float8 * interval '1 ms' END,
    $9, clock_timestamp() + $10::float8 * interval '1 ms')
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
  RETURNING ${COLUMNS}`;

/**
 * The conflicting update of `blobs` changes nothing: it locks the row, and returns its generation. No row comes
 * back for a writer that is no longer the last.
 */
export const COMMIT = `
  WITH gone AS (
    DELETE FROM ingests WHERE uid = $1 AND epoch = $2 RETURNING uid
  ), blob AS (
    INSERT INTO blobs AS b (digest, generation, size) SELECT $3::text, $4::uuid, $5::bigint FROM gone
    ON CONFLICT (digest) DO UPDATE SET size = b.size
    RETURNING b.digest, b.generation
  ), record AS (
    INSERT INTO contents (namespace, node, digest, generation, revision, labels)
    SELECT $6::text, $7::text, digest, generation, nextval('revision'), $8::jsonb FROM blob
    ON CONFLICT ON CONSTRAINT contents_name DO NOTHING
    RETURNING uid, revision, created_at
  ), leased AS (
    INSERT INTO lease_resources (lease, kind, key)
    SELECT $9::uuid, 'content', $3::text FROM gone WHERE $9::uuid IS NOT NULL
    ON CONFLICT (lease, kind, key) DO UPDATE SET changed = pg_current_xact_id()
  ), unleased AS (
    DELETE FROM lease_resources USING gone WHERE lease = $9::uuid AND kind = 'ingest' AND key = $10::text
  )
  SELECT r.uid, r.revision, r.created_at, b.generation FROM blob AS b LEFT JOIN record AS r ON true`;
