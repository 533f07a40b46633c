-- Up Migration

-- Lists go page by page in byte order, which is not that of every database's own collation.
CREATE INDEX contents_listed ON contents (namespace, node, digest COLLATE "C");
-- Filters ask for labels by value and by presence.
CREATE INDEX contents_labels ON contents USING gin (labels);
