-- Up Migration

-- Lists go page by page in byte order, which is not that of every database's own collation.
CREATE INDEX contents_listed ON contents (namespace, node, digest COLLATE "C");
-- Filters look up labels by value; for presence the records of the scope are read.
CREATE INDEX contents_labels ON contents USING gin (labels jsonb_path_ops);
