-- What lets a copy of a node's records go on from where it was: see src/record-watch.ts.
-- Up Migration

-- Keys under which there was a record; rows are forgotten after a while.
CREATE TABLE deletions (
  -- The revision of the deletion.
  revision bigint PRIMARY KEY,
  namespace text NOT NULL,
  node text NOT NULL,
  kind text NOT NULL,
  key text NOT NULL,
  changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deletions_changed ON deletions (node, changed, revision);

-- The latest transactions of each node whose deletions are forgotten, newest first: at most 20. When there are as many, older
-- ones may be forgotten too.
CREATE TABLE deletion_horizons (
  node text PRIMARY KEY,
  transactions xid8[] NOT NULL
);

-- For triggers of record tables, with the kind and the columns of the key, which slashes join. BEFORE the change, so that
-- RETURNING currval('revision') gives the revision of the deletion.
CREATE FUNCTION log_deletion() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  deleted_key text;
BEGIN
  EXECUTE (SELECT format('SELECT concat_ws(''/'', %s)', string_agg(format('($1).%I', name), ', ' ORDER BY place))
           FROM unnest(TG_ARGV[1:]) WITH ORDINALITY AS columns (name, place))
    INTO deleted_key USING OLD;
  INSERT INTO deletions (revision, namespace, node, kind, key)
  VALUES (nextval('revision'), OLD.namespace, OLD.node, TG_ARGV[0], deleted_key);
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END
$$;
