-- Up Migration

-- What is due is looked for every few seconds, and with a long grace time most is not.
CREATE INDEX tombstones_of_ingests ON tombstones (id) WHERE digest IS NULL;
CREATE INDEX tombstones_of_blobs ON tombstones (created_at) WHERE digest IS NOT NULL;
