-- Up Migration

-- Lists over all nodes look up which of them can have a match.
CREATE INDEX containers_labels ON containers USING gin (labels jsonb_path_ops);
-- An image may be longer than an entry of an index can be.
CREATE INDEX containers_image ON containers (namespace, left(image, 256));
