-- Up Migration

-- Blobs that a scope or an ingest has let go: what may have to be buried is looked for among these, not among all that there is.
-- A digest may be in it several times, and may still be held by others.
CREATE TABLE released_blobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest text NOT NULL
);

CREATE FUNCTION release_contents() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO released_blobs (digest) SELECT DISTINCT digest FROM gone;
  RETURN NULL;
END
$$;
CREATE TRIGGER contents_release AFTER DELETE ON contents REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION release_contents();

CREATE FUNCTION release_linked() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO released_blobs (digest) VALUES (OLD.linked_digest);
  RETURN NULL;
END
$$;
CREATE TRIGGER ingests_release AFTER DELETE ON ingests
  FOR EACH ROW WHEN (OLD.linked_digest IS NOT NULL) EXECUTE FUNCTION release_linked();
CREATE TRIGGER ingests_unlink AFTER UPDATE ON ingests
  FOR EACH ROW WHEN (OLD.linked_digest IS NOT NULL AND OLD.linked_digest IS DISTINCT FROM NEW.linked_digest)
  EXECUTE FUNCTION release_linked();

INSERT INTO released_blobs (digest)
SELECT digest FROM blobs AS b
WHERE NOT EXISTS (SELECT FROM contents AS c WHERE c.digest = b.digest)
  AND NOT EXISTS (SELECT FROM ingests AS i WHERE i.linked_digest = b.digest);
