-- Up Migration

-- An optional part of the collection contract: what a removal would free, where it is known.
CREATE VIEW gc_sizes AS
  SELECT namespace, node, 'snapshot' AS kind, snapshotter || '/' || name AS key, size_bytes
  FROM snapshots WHERE kind = 'committed';
