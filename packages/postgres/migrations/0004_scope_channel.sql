-- Up Migration

-- A channel for each schema: a service is not woken by the changes of others. And the one of all schemas, of which the version
-- before hears.
CREATE OR REPLACE FUNCTION notify_scope() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record := coalesce(NEW, OLD);
BEGIN
  PERFORM pg_notify('longshore_scope_' || TG_TABLE_SCHEMA, changed.node || ' ' || changed.namespace),
    pg_notify('longshore_scope', TG_TABLE_SCHEMA || ' ' || changed.node || ' ' || changed.namespace);
  RETURN NULL;
END
$$;
