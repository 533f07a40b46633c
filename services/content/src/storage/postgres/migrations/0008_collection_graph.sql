-- Up Migration

-- Follows references from the roots: collection-sql.ts makes its arguments of the views of all services. Objects, roots and
-- references are given by 64-bit hashes of their names: two that are equal only keep too much. Arrays and a loop, because a
-- recursive query scans all references once for each step of the longest chain.
--
-- A flat mark spreads by fields only. Without a target it answers
--   'candidate': a collectable object that no root leads to;
--   'bridge': what is not marked, or flat, and refers to some of those: whatever comes to refer to it keeps them;
--   'unrooted': one object of each kind that must be a root by itself and is none. Nothing else is answered then.
-- With a target, the chain to it: the positions of the references, first to last, with the role 'step'; before them, with
-- the role 'root', the position of the root among the roots; and nothing when no root leads to it.
CREATE FUNCTION walk_references(in_schemas text[], in_kinds text[], in_keys text[], in_uids uuid[], in_ids bigint[],
    in_collectable boolean[], in_anchored boolean[], in_from bigint[], in_to bigint[], in_by_label boolean[],
    in_roots bigint[], in_flat boolean[], in_target bigint DEFAULT NULL)
  RETURNS TABLE (place integer, role text, schema text, kind text, key text, uid uuid, id bigint, refers_to integer[])
  STABLE LANGUAGE plpgsql SET search_path FROM CURRENT
  -- Tables that nobody has counted yet look small: a loop within a loop would take for ever.
  SET enable_nestloop = off SET enable_mergejoin = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
DECLARE
  -- Objects in the order given, then what refers to something without being an object. Places begin at 1.
  ids bigint[] := in_ids;
  -- References in the order of `froms`, which ends with a 0.
  froms integer[];
  tos integer[];
  by_label boolean[];
  positions integer[];
  -- The first reference of each place.
  firsts integer[];
  -- 0: not marked, 1: flat, 2: whole.
  marks integer[];
  -- By which reference, or as which root (negative), the mark came.
  via integer[];
  queue integer[];
  head integer := 0;
  tail integer := 0;
  here integer;
  mark integer;
  edge integer;
  target integer;
BEGIN
  SELECT ids || coalesce(array_agg(DISTINCT r.id), '{}') INTO ids
  FROM unnest(in_from) AS r (id) WHERE NOT EXISTS (SELECT FROM unnest(in_ids) AS o (id) WHERE o.id = r.id);
  IF cardinality(ids) IS NULL OR cardinality(ids) = 0 THEN
    RETURN;
  END IF;
  SELECT array_agg(e.f), array_agg(e.t), array_agg(e.by_label), array_agg(e.n) INTO froms, tos, by_label, positions
  FROM (
    SELECT f.n::integer AS f, t.n::integer AS t, r.by_label, r.n::integer AS n
    FROM unnest(in_from, in_to, in_by_label) WITH ORDINALITY AS r (f, t, by_label, n)
    JOIN unnest(ids) WITH ORDINALITY AS f (id, n) ON f.id = r.f
    JOIN unnest(ids) WITH ORDINALITY AS t (id, n) ON t.id = r.t
    ORDER BY f.n
  ) AS e;
  froms := coalesce(froms, '{}') || 0;
  firsts := array_fill(cardinality(froms), ARRAY[cardinality(ids)]);
  FOR i IN REVERSE cardinality(froms) - 1 .. 1 LOOP
    firsts[froms[i]] := i;
  END LOOP;
  marks := array_fill(0, ARRAY[cardinality(ids)]);
  via := marks;
  -- A place is marked at most twice.
  queue := array_fill(0, ARRAY[2 * cardinality(ids)]);

  FOR here, mark, edge IN
    SELECT DISTINCT ON (o.n) o.n, CASE WHEN r.flat THEN 1 ELSE 2 END, r.n
    FROM unnest(in_roots, in_flat) WITH ORDINALITY AS r (id, flat, n)
    JOIN unnest(ids) WITH ORDINALITY AS o (id, n) ON o.id = r.id
    ORDER BY o.n, r.flat, r.n
  LOOP
    marks[here] := mark;
    via[here] := -edge;
    tail := tail + 1;
    queue[tail] := here;
  END LOOP;

  IF in_target IS NULL THEN
    RETURN QUERY
    SELECT DISTINCT ON (o.kind) o.n::integer, 'unrooted', o.schema, o.kind, o.key, o.uid, o.id, NULL::integer[]
    FROM unnest(in_schemas, in_kinds, in_keys, in_uids, in_ids, in_anchored) WITH ORDINALITY
      AS o (schema, kind, key, uid, id, anchored, n)
    WHERE o.anchored AND marks[o.n] = 0;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;

  WHILE head < tail LOOP
    head := head + 1;
    here := queue[head];
    mark := marks[here];
    edge := firsts[here];
    WHILE froms[edge] = here LOOP
      target := tos[edge];
      IF marks[target] < mark AND (mark = 2 OR NOT by_label[edge]) THEN
        marks[target] := mark;
        via[target] := edge;
        tail := tail + 1;
        queue[tail] := target;
      END IF;
      edge := edge + 1;
    END LOOP;
  END LOOP;

  IF in_target IS NULL THEN
    RETURN QUERY
    WITH open AS MATERIALIZED (
      SELECT e.f, array_agg(e.t) AS refers_to FROM unnest(froms, tos) AS e (f, t)
      WHERE e.f > 0 AND marks[e.f] < 2 AND marks[e.t] < 2 GROUP BY e.f
    )
    SELECT o.n::integer, CASE WHEN o.collectable AND marks[o.n] = 0 THEN 'candidate' ELSE 'bridge' END,
      o.schema, o.kind, o.key, o.uid, o.id, open.refers_to
    FROM unnest(in_schemas, in_kinds, in_keys, in_uids, ids, in_collectable) WITH ORDINALITY
      AS o (schema, kind, key, uid, id, collectable, n)
    LEFT JOIN open ON open.f = o.n
    WHERE o.collectable AND marks[o.n] = 0 OR open.f IS NOT NULL;
    RETURN;
  END IF;

  here := array_position(ids, in_target);
  IF here IS NULL OR marks[here] = 0 THEN
    RETURN;
  END IF;
  queue := '{}';
  WHILE via[here] > 0 LOOP
    queue := positions[via[here]] || queue;
    here := froms[via[here]];
  END LOOP;
  RETURN QUERY SELECT -via[here], 'root', NULL, NULL, NULL, NULL::uuid, NULL::bigint, NULL::integer[];
  RETURN QUERY SELECT step, 'step', NULL, NULL, NULL, NULL::uuid, NULL::bigint, NULL::integer[] FROM unnest(queue) AS step;
END
$$;

-- A duration as Go writes it ('1h30m', '-1.5h', '300ms'); null for anything else.
CREATE FUNCTION go_duration(in_text text) RETURNS interval IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF in_text ~ '^[-+]?0$' THEN
    RETURN interval '0';
  ELSIF in_text !~ '^[-+]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$' THEN
    RETURN NULL;
  END IF;
  RETURN (
    SELECT sum(part[1]::float8 * CASE part[2] WHEN 'h' THEN 3600e3 WHEN 'm' THEN 60e3 WHEN 's' THEN 1e3 WHEN 'ms' THEN 1
      WHEN 'ns' THEN 1e-6 ELSE 1e-3 END) * CASE WHEN starts_with(in_text, '-') THEN -1 ELSE 1 END * interval '1 ms'
    FROM regexp_matches(in_text, '(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)', 'g') AS part);
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END
$$;

-- A date of RFC 3339; null for anything else.
CREATE FUNCTION rfc3339(in_text text) RETURNS timestamptz IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF in_text !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[-+]\d\d:\d\d)$' THEN
    RETURN NULL;
  END IF;
  RETURN replace(in_text, ',', '.')::timestamptz;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END
$$;

-- Whether one of the conditions of a label gc.cond.* ('usedat<24h,…|key') is met by one of the values, an array of dates. Any
-- other name or operator is never met, nor is what cannot be read. Source: containerd core/metadata/gc.go.
CREATE FUNCTION meets_condition(in_label text, in_values jsonb) RETURNS boolean STABLE LANGUAGE sql
  SET search_path FROM CURRENT AS $$
  SELECT EXISTS (
    SELECT FROM unnest(string_to_array(split_part(in_label, '|', 1), ',')) AS condition (words)
    CROSS JOIN LATERAL regexp_match(condition.words, '^usedat([<>])([^=].*)$') AS parts
    CROSS JOIN jsonb_array_elements_text(in_values) AS value (at)
    WHERE CASE parts[1]
      WHEN '<' THEN clock_timestamp() - rfc3339(value.at) < go_duration(parts[2])
      ELSE clock_timestamp() - rfc3339(value.at) > go_duration(parts[2]) END)
$$;

-- What changed is looked for by index, batch by batch. Leases do not change, and so their resources are never older.
CREATE INDEX leases_changed ON leases (node, changed);
CREATE INDEX lease_resources_changed ON lease_resources (changed);
CREATE INDEX ingests_changed ON ingests (node, changed);

CREATE OR REPLACE VIEW gc_roots AS
  SELECT namespace, node, 'lease' AS kind, id AS key, false AS flat, changed FROM leases
  WHERE expires_at IS NULL OR expires_at > now()
  UNION ALL
  SELECT l.namespace, l.node, r.kind, r.key, l.labels ? 'containerd.io/gc.flat', r.changed
  FROM leases AS l JOIN lease_resources AS r ON r.lease = l.uid
  WHERE l.expires_at IS NULL OR l.expires_at > now()
  UNION ALL
  SELECT namespace, node, 'ingest', ref, false, changed FROM ingests WHERE expires_at > now();

-- Labels of leases make no references; the one says that a lease need not be a root.
CREATE OR REPLACE VIEW gc_objects AS
  SELECT namespace, node, 'content' AS kind, digest AS key, uid, labels, true AS collectable, changed FROM contents
  UNION ALL
  SELECT namespace, node, 'ingest', ref, uid, '{}', true, changed FROM ingests
  UNION ALL
  SELECT namespace, node, 'lease', id, uid,
    CASE WHEN expires_at IS NULL THEN '{}' ELSE jsonb_build_object('containerd.io/gc.expire', expires_at) END, true, changed
  FROM leases;

CREATE VIEW gc_sizes AS
  SELECT c.namespace, c.node, 'content' AS kind, c.digest AS key, b.size AS size_bytes
  FROM contents AS c JOIN blobs AS b ON b.digest = c.digest
  UNION ALL
  SELECT namespace, node, 'ingest', ref, durable_bytes FROM ingests;

-- What the last collection of a scope saw: see domain/collection-guard.ts.
CREATE TABLE collection_censuses (
  namespace text NOT NULL,
  node text NOT NULL,
  -- A pg_snapshot.
  snapshot text NOT NULL,
  -- An array of {schema, kind, objects, references}.
  seen jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (namespace, node)
);

-- What a mark found unreachable and did not remove.
CREATE TABLE unreached (
  namespace text NOT NULL,
  node text NOT NULL,
  kind text NOT NULL,
  key text NOT NULL,
  uid uuid NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (namespace, node, kind, key)
);

-- Deletions of leases since the scope's census, to tell leases that were deleted from a table that was emptied. Those of other
-- records are in `deletions`, which nodes follow: they do not remember leases.
CREATE TABLE lease_deletions (
  namespace text NOT NULL,
  node text NOT NULL,
  changed xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX lease_deletions_changed ON lease_deletions (namespace, node, changed);

CREATE FUNCTION log_lease_deletions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO lease_deletions (namespace, node) SELECT namespace, node FROM gone;
  RETURN NULL;
END
$$;
CREATE TRIGGER leases_deletion AFTER DELETE ON leases REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION log_lease_deletions();

-- A collection found nothing wrong: this is what it saw, as an array of {schema, kind, objects, references}; and whatever earlier
-- marks did not reach is gone, or reached. A crash of the database may forget it: the census before it is as good.
CREATE FUNCTION remember_collection(in_namespace text, in_node text, in_snapshot text, in_seen jsonb)
  RETURNS void VOLATILE LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO collection_censuses AS c (namespace, node, snapshot, seen) VALUES (in_namespace, in_node, in_snapshot, in_seen)
  ON CONFLICT (namespace, node) DO UPDATE SET snapshot = excluded.snapshot, seen = excluded.seen, at = excluded.at
  WHERE pg_snapshot_xmax(c.snapshot::pg_snapshot) <= pg_snapshot_xmax(excluded.snapshot::pg_snapshot);
  DELETE FROM unreached WHERE namespace = in_namespace AND node = in_node;
  DELETE FROM lease_deletions
  WHERE namespace = in_namespace AND node = in_node AND pg_visible_in_snapshot(changed, in_snapshot::pg_snapshot);
END
$$;
