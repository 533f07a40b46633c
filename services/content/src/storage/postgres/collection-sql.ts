/** Selects of one scope (parameters 1 and 2: namespace, node) over the collection views of some schemas. */

function inScope(schemas: readonly string[], select: (schema: string) => string): string {
  return schemas.map((schema) => `${select(schema)} WHERE namespace = $1 AND node = $2`).join(' UNION ALL ');
}

/** What stands for a name in `walk_references`: see migrations/0008_collection_graph.sql. */
export function idOf(kind: string, key: string): string {
  return `hashtextextended(${kind} || ' ' || ${key}, 0)`;
}

/** Labels of `objects` that begin so concern the collector; the common table expression `labels` has their rest. */
const LABEL_PREFIX = 'containerd.io/gc.';

/**
 * From `l (kind, key, name, value)`, what a label refers to: `target (kind, key, is_back, condition)`, with a null kind for none.
 * `ref.<kind>` refers forward; `bref.<kind>` makes the record referred to by the one it names; `cond.snapshot.<snapshotter>` is a
 * reference while its condition holds. What follows the kind behind a dot or slash only makes labels differ.
 * Source: containerd core/metadata/gc.go.
 */
const LABEL_TARGET = `
  CROSS JOIN LATERAL (
    SELECT substr(l.name, strpos(l.name, '.') + 1) AS rest, starts_with(l.name, 'bref.') AS is_back,
      starts_with(l.name, 'cond.snapshot') AND l.kind IN ('content', 'image') AND strpos(l.value, '|') > 0 AS is_conditional,
      starts_with(l.name, 'ref.') OR starts_with(l.name, 'bref.') AS is_plain
  ) AS parts
  CROSS JOIN LATERAL (
    SELECT split_part(translate(parts.rest, '/', '.'), '.', 1) AS word
  ) AS head
  CROSS JOIN LATERAL (
    SELECT parts.is_back, CASE WHEN parts.is_conditional THEN l.value END AS condition,
      CASE
        WHEN parts.is_conditional OR parts.is_plain AND starts_with(parts.rest, 'snapshot.') THEN 'snapshot'
        WHEN parts.is_plain AND (head.word IN ('content', 'image') OR head.word = 'container' AND parts.is_back) THEN head.word
      END AS kind,
      CASE
        WHEN parts.is_conditional THEN split_part(ltrim(substr(l.name, length('cond.snapshot') + 1), './'), '/', 1) || '/' ||
          substr(l.value, strpos(l.value, '|') + 1)
        WHEN starts_with(parts.rest, 'snapshot.') THEN split_part(substr(parts.rest, length('snapshot.') + 1), '/', 1) || '/' || l.value
        ELSE l.value
      END AS key
  ) AS target`;

/**
 * Common table expressions:
 * `objects (schema, kind, key, uid, labels, collectable, id)`,
 * `labels (kind, key, id, name, value)`: those that concern the collector, without their prefix,
 * `refs (from_kind, from_key, to_kind, to_key, label, from_id, to_id)`: references by fields, with a null label, and by labels,
 * `roots (schema, kind, key, flat, label, id)`.
 */
function graphSql(schemas: readonly string[]): string {
  return `
  objects AS MATERIALIZED (
    SELECT *, ${idOf('kind', 'key')} AS id FROM (
      ${inScope(schemas, (s) => `SELECT '${s}' AS schema, kind, key, uid, labels, collectable FROM ${s}.gc_objects`)}
    ) AS o
  ), labels AS MATERIALIZED (
    SELECT o.kind, o.key, o.id, substr(l.name, length('${LABEL_PREFIX}') + 1) AS name, l.value
    FROM objects AS o CROSS JOIN LATERAL jsonb_each_text(o.labels) AS l (name, value)
    WHERE starts_with(l.name, '${LABEL_PREFIX}')
  ), used AS MATERIALIZED (
    SELECT coalesce(jsonb_object_agg(id, values), '{}') AS snapshots FROM (
      SELECT id, jsonb_agg(value) AS values FROM labels
      WHERE kind = 'snapshot' AND starts_with(name, 'cond.value-usedat') GROUP BY id
    ) AS u
  ), refs AS MATERIALIZED (
    SELECT *, ${idOf('from_kind', 'from_key')} AS from_id, ${idOf('to_kind', 'to_key')} AS to_id FROM (
      ${inScope(schemas, (s) => `SELECT from_kind, from_key, to_kind, to_key, NULL::text AS label FROM ${s}.gc_references`)}
      UNION ALL
      SELECT CASE WHEN target.is_back THEN target.kind ELSE l.kind END, CASE WHEN target.is_back THEN target.key ELSE l.key END,
        CASE WHEN target.is_back THEN l.kind ELSE target.kind END, CASE WHEN target.is_back THEN l.key ELSE target.key END,
        '${LABEL_PREFIX}' || l.name
      FROM labels AS l ${LABEL_TARGET}
      WHERE target.kind IS NOT NULL AND (target.condition IS NULL OR meets_condition(target.condition,
        (SELECT snapshots FROM used) -> (${idOf('target.kind', 'target.key')})::text))
    ) AS r
  ), roots AS MATERIALIZED (
    SELECT *, ${idOf('kind', 'key')} AS id FROM (
      ${inScope(schemas, (s) => `SELECT '${s}' AS schema, kind, key, flat, NULL::text AS label FROM ${s}.gc_roots`)}
      UNION ALL
      SELECT '', kind, key, false, '${LABEL_PREFIX}' || name FROM labels
      WHERE kind IN ('content', 'snapshot') AND starts_with(name, 'root')
    ) AS r
  ), walk_arguments AS MATERIALIZED (
    SELECT o.*, r.*, t.* FROM (
      SELECT array_agg(schema) AS schemas, array_agg(kind) AS kinds, array_agg(key) AS keys, array_agg(uid) AS uids,
        array_agg(id) AS ids, array_agg(collectable) AS collectable,
        array_agg(NOT collectable OR kind IN ('image', 'lease') AND NOT labels ? '${LABEL_PREFIX}expire') AS anchored
      FROM objects
    ) AS o, (
      SELECT array_agg(from_id) AS froms, array_agg(to_id) AS tos, array_agg(label IS NOT NULL) AS by_label FROM refs
    ) AS r, (
      SELECT array_agg(id) AS roots, array_agg(flat) AS flat FROM roots
    ) AS t
  )`;
}

/** `anchored`: which objects must be roots. */
const walkArguments = (anchored: string) =>
  `a.schemas, a.kinds, a.keys, a.uids, a.ids, a.collectable, ${anchored}, a.froms, a.tos, a.by_label, a.roots, a.flat`;

/**
 * One row with what the scope looks like, and then those of `walk_references`. One statement, so one view of everything; the
 * snapshot is that of the statement. Parameter 3: goes on when an object is no root that must be one.
 */
export function markSql(schemas: readonly string[]): string {
  return `WITH ${graphSql(schemas)}
  SELECT pg_current_snapshot()::text AS snapshot,
    (SELECT count(*)::integer FROM objects WHERE collectable) AS collectable,
    (SELECT jsonb_agg(seen) FROM (
      SELECT o.schema, o.kind, o.objects, coalesce(r.references, 0) AS "references"
      FROM (SELECT schema, kind, count(*) AS objects FROM objects GROUP BY schema, kind) AS o
      LEFT JOIN (SELECT from_kind, count(*) AS "references" FROM refs WHERE label IS NULL GROUP BY from_kind) AS r
        ON r.from_kind = o.kind
      ORDER BY o.schema, o.kind
    ) AS seen) AS seen,
    (SELECT jsonb_agg(DISTINCT to_kind) FROM refs WHERE label IS NULL) AS referred,
    (SELECT jsonb_build_object('snapshot', c.snapshot, 'seen', c.seen, 'at', c.at)
     FROM collection_censuses AS c WHERE c.namespace = $1 AND c.node = $2) AS before,
    EXISTS (SELECT FROM unreached WHERE namespace = $1 AND node = $2)
      OR EXISTS (SELECT FROM lease_deletions WHERE namespace = $1 AND node = $2) AS has_leftovers,
    NULL::integer AS place, 'mark' AS role, NULL AS schema, NULL AS kind, NULL AS key, NULL::uuid AS uid, NULL::bigint AS id,
    NULL::integer[] AS refers_to
  UNION ALL
  SELECT NULL, NULL, NULL, NULL, NULL, NULL, w.*
  FROM walk_arguments AS a, walk_references(${walkArguments('CASE WHEN NOT $3::boolean THEN a.anchored END')}) AS w`;
}

/** The chain from a root to the record of parameters 3 (kind) and 4 (key): the root, and then each reference. */
export function chainSql(schemas: readonly string[]): string {
  return `WITH ${graphSql(schemas)}, chain AS MATERIALIZED (
    SELECT row_number() OVER () AS n, w.place, w.role
    FROM walk_arguments AS a, walk_references(${walkArguments('NULL')}, ${idOf('$3::text', '$4::text')}) AS w
  )
  SELECT n, 'root' AS role, r.schema, r.kind, r.key, r.label
  FROM chain JOIN (SELECT *, row_number() OVER () AS place FROM roots) AS r USING (place) WHERE chain.role = 'root'
  UNION ALL
  SELECT n, 'step', NULL, r.to_kind, r.to_key, r.label
  FROM chain JOIN (SELECT *, row_number() OVER () AS place FROM refs) AS r USING (place) WHERE chain.role = 'step'
  ORDER BY n`;
}

/** References between records given by parameters 3 (kinds) and 4 (keys), as their positions from 1. */
export function referencesSql(schemas: readonly string[]): string {
  return `WITH ${graphSql(schemas)}, given AS (
    SELECT ${idOf('g.kind', 'g.key')} AS id, g.position
    FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS g (kind, key, position)
  )
  SELECT f.position::integer AS "from", t.position::integer AS "to"
  FROM refs AS r JOIN given AS f ON f.id = r.from_id JOIN given AS t ON t.id = r.to_id`;
}

/**
 * The ids of what changed since the snapshot (parameter 3), and of what that refers to, and the snapshot of this statement: to be
 * taken under the scope's lock. Conditions count as met. Each view is read by an index on `changed`, which the order and the
 * limit (parameter 4) make the planner use whatever it knows of the tables; `is_whole` says that no limit was reached.
 */
export function changesSql(schemas: readonly string[]): string {
  const changed = (schema: string, view: string, columns: string) =>
    `(SELECT namespace, changed, ${columns} FROM ${schema}.${view}
      WHERE node = $2 AND changed >= pg_snapshot_xmin($3::pg_snapshot) ORDER BY changed LIMIT $4)`;
  const union = (view: string, columns: string) =>
    schemas.map((schema) => changed(schema, view, columns)).join(' UNION ALL ');
  const isNew = 'namespace = $1 AND NOT pg_visible_in_snapshot(changed, $3::pg_snapshot)';
  return `WITH objects AS MATERIALIZED (${union('gc_objects', 'kind, key, labels')}),
  refs AS MATERIALIZED (${union('gc_references', 'to_kind AS kind, to_key AS key')}),
  roots AS MATERIALIZED (${union('gc_roots', 'kind, key')}),
  labels AS (
    SELECT o.kind, o.key, substr(l.name, length('${LABEL_PREFIX}') + 1) AS name, l.value
    FROM objects AS o CROSS JOIN LATERAL jsonb_each_text(o.labels) AS l (name, value)
    WHERE ${isNew} AND starts_with(l.name, '${LABEL_PREFIX}')
  )
  SELECT pg_current_snapshot()::text AS snapshot,
    greatest((SELECT count(*) FROM objects), (SELECT count(*) FROM refs), (SELECT count(*) FROM roots)) < $4 AS is_whole,
    ARRAY(
      SELECT ${idOf('kind', 'key')} FROM objects WHERE ${isNew}
      UNION SELECT ${idOf('kind', 'key')} FROM refs WHERE ${isNew}
      UNION SELECT ${idOf('kind', 'key')} FROM roots WHERE ${isNew}
      UNION SELECT ${idOf('target.kind', 'target.key')} FROM labels AS l ${LABEL_TARGET} WHERE target.kind IS NOT NULL
    )::text[] AS ids`;
}
