-- Up Migration

-- Lists are in byte order, which a database has of itself only when it was made so.
CREATE INDEX images_listed ON images (namespace, node, name COLLATE "C");
