-- Up Migration

-- Pages of a namespace's containers over all nodes.
CREATE INDEX containers_in_order ON containers (namespace, id COLLATE "C", node COLLATE "C");
