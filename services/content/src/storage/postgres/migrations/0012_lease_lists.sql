-- Up Migration

-- Lists are in byte order, which a database has of itself only when it was made so.
CREATE INDEX leases_listed ON leases (namespace, node, id COLLATE "C");
