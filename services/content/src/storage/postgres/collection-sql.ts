/** Selects of one scope (parameters 1 and 2: namespace, node) over the collection views of some schemas. */

function inScope(schemas: readonly string[], select: (schema: string) => string): string {
  return schemas.map((schema) => `${select(schema)} WHERE namespace = $1 AND node = $2`).join(' UNION ALL ');
}

/**
 * Common table expressions:
 * `objects (schema, kind, key, uid, labels, collectable, changed)`,
 * `refs (from_kind, from_key, to_kind, to_key, by_label, changed)`: references by fields and by labels,
 * `roots (kind, key, flat, changed)`.
 * A label `gc.ref.<kind>` refers forward; `gc.bref.<kind>` makes the record referred to by the one it names. What
 * follows the kind behind a dot or slash only makes labels differ. Source: containerd core/metadata/gc.go.
 */
export function graphSql(schemas: readonly string[]): string {
  return `
  objects AS MATERIALIZED (
    ${inScope(schemas, (s) => `SELECT '${s}' AS schema, kind, key, uid, labels, collectable, changed FROM ${s}.gc_objects`)}
  ), refs AS MATERIALIZED (
    ${inScope(schemas, (s) => `SELECT from_kind, from_key, to_kind, to_key, false AS by_label, changed FROM ${s}.gc_references`)}
    UNION ALL
    SELECT
      CASE parts[1] WHEN 'ref' THEN o.kind ELSE other.kind END, CASE parts[1] WHEN 'ref' THEN o.key ELSE other.key END,
      CASE parts[1] WHEN 'ref' THEN other.kind ELSE o.kind END, CASE parts[1] WHEN 'ref' THEN other.key ELSE o.key END,
      true, o.changed
    FROM objects AS o
    CROSS JOIN LATERAL jsonb_each_text(o.labels) AS label (name, value)
    CROSS JOIN LATERAL regexp_match(label.name,
      '^containerd\\.io/gc\\.(b?ref)\\.(?:(content|image|container)(?![^./])|snapshot\\.([^/]*))') AS parts
    CROSS JOIN LATERAL (
      SELECT coalesce(parts[2], 'snapshot') AS kind, coalesce(parts[3] || '/', '') || label.value AS key
    ) AS other
    WHERE parts IS NOT NULL AND NOT (parts[1] = 'ref' AND other.kind = 'container')
  ), roots AS MATERIALIZED (
    ${inScope(schemas, (s) => `SELECT kind, key, flat, changed FROM ${s}.gc_roots`)}
    UNION ALL
    SELECT kind, key, false, changed FROM objects
    WHERE kind IN ('content', 'snapshot')
      AND EXISTS (SELECT FROM jsonb_object_keys(labels) AS name WHERE starts_with(name, 'containerd.io/gc.root'))
  )`;
}

/** Records that no root leads to. A flat mark does not spread by labels. */
export function candidatesSql(schemas: readonly string[]): string {
  return `WITH RECURSIVE ${graphSql(schemas)}, marked AS (
    SELECT kind, key, flat FROM roots
    UNION
    SELECT r.to_kind, r.to_key, m.flat
    FROM marked AS m JOIN refs AS r ON r.from_kind = m.kind AND r.from_key = m.key
    WHERE NOT (m.flat AND r.by_label)
  )
  SELECT schema, kind, key, uid, EXISTS (SELECT FROM marked AS m WHERE m.kind = o.kind AND m.key = o.key) AS is_marked
  FROM objects AS o WHERE collectable`;
}

/** References between records given by parameters 3 (kinds) and 4 (keys), as their positions from 1. */
export function referencesSql(schemas: readonly string[]): string {
  return `WITH ${graphSql(schemas)}, given AS (
    SELECT * FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS g (kind, key, position)
  )
  SELECT f.position::integer AS "from", t.position::integer AS "to"
  FROM refs AS r
  JOIN given AS f ON f.kind = r.from_kind AND f.key = r.from_key
  JOIN given AS t ON t.kind = r.to_kind AND t.key = r.to_key`;
}

/** Records that something changed since the snapshot (parameter 3) keeps alive, itself or what it refers to. */
export function rescuedSql(schemas: readonly string[]): string {
  const isNew = 'NOT pg_visible_in_snapshot(changed, $3::pg_snapshot)';
  return `WITH RECURSIVE ${graphSql(schemas)}, rescued AS (
    SELECT kind, key FROM (
      SELECT kind, key FROM roots WHERE ${isNew}
      UNION ALL SELECT kind, key FROM objects WHERE ${isNew}
      UNION ALL SELECT to_kind, to_key FROM refs WHERE ${isNew}
    ) AS fresh
    UNION
    SELECT r.to_kind, r.to_key FROM rescued AS m JOIN refs AS r ON r.from_kind = m.kind AND r.from_key = m.key
  )
  SELECT kind, key FROM rescued`;
}
