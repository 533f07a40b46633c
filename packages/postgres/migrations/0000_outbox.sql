-- What every schema has; run with the schema first in search_path.
-- Up Migration

-- Revisions of all records of this schema; drawn under the record's lock, see lock-name.ts.
CREATE SEQUENCE revision AS bigint;

-- One row per lifecycle event, written in the transaction of the change it tells of. The relay of the events
-- service reads these rows and marks them; nobody else touches them.
CREATE TABLE outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- A row is safe to relay when no older transaction is still open: xid < pg_snapshot_xmin(pg_current_snapshot()).
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  -- The event's id, which is also the message id in the stream.
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  namespace text NOT NULL,
  node text NOT NULL,
  -- Rows of one (namespace, node) are relayed by one leader, in order.
  partition smallint NOT NULL GENERATED ALWAYS AS (hashtext(namespace || '/' || node) & 15) STORED,
  topic text NOT NULL,
  -- What the event is about, e.g. a container's id.
  subject text NOT NULL,
  revision bigint NOT NULL,
  type_url text NOT NULL,
  payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Sequence in the stream, once the stream has acknowledged the message.
  stream_seq bigint,
  relayed_at timestamptz
);

CREATE INDEX outbox_unrelayed ON outbox (partition, seq) WHERE stream_seq IS NULL;
CREATE INDEX outbox_relayed ON outbox (relayed_at) WHERE stream_seq IS NOT NULL;
-- For finding out what a stream that went backwards has lost.
CREATE INDEX outbox_stream_seq ON outbox (stream_seq) WHERE stream_seq IS NOT NULL;

CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('longshore_outbox', TG_TABLE_SCHEMA);
  RETURN NULL;
END
$$;

CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();

-- For the triggers of tables whose records nodes remember: says which scope has changed. Several changes of a scope in one
-- transaction are one notification.
CREATE FUNCTION notify_scope() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record := coalesce(NEW, OLD);
BEGIN
  PERFORM pg_notify('longshore_scope', TG_TABLE_SCHEMA || ' ' || changed.node || ' ' || changed.namespace);
  RETURN NULL;
END
$$;

-- For payloads that a `gc_delete` writes (see services/content/README.md): a string field of a protobuf message, shorter
-- than 16 KiB, which a name that fits its index is.
CREATE FUNCTION gc_string_field(field integer, value text) RETURNS bytea IMMUTABLE LANGUAGE sql AS $$
  SELECT set_byte('\x00'::bytea, 0, field << 3 | 2)
    || CASE WHEN size < 128 THEN set_byte('\x00'::bytea, 0, size)
            ELSE set_byte(set_byte('\x0000'::bytea, 0, size & 127 | 128), 1, size >> 7) END
    || bytes
  FROM (SELECT convert_to(value, 'UTF8') AS bytes, octet_length(convert_to(value, 'UTF8')) AS size) AS encoded
$$;
