-- Up Migration

-- Forgetting old deletions looks for them by age: see src/deletion-log.ts.
CREATE INDEX deletions_at ON deletions (at);

-- The relay asks for the next rows of many partitions in one order. Without it a long backlog has Postgres walk through the
-- relayed rows of a whole day, each time.
CREATE INDEX outbox_waiting ON outbox (seq) WHERE stream_seq IS NULL;
