-- Who may do what at the fleet's edge: see services/gateway/src/access.
-- Up Migration

-- API tokens; their secrets are in no table.
CREATE TABLE access_tokens (
  id text PRIMARY KEY,
  -- SHA-256: a secret is random and long, there is nothing to guess.
  secret_hash bytea NOT NULL,
  description text NOT NULL,
  -- That it was made for, whose admins may revoke it; `*` for the fleet.
  namespace text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL
);

CREATE TABLE role_bindings (
  subject text NOT NULL,
  namespace text NOT NULL,
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'host')),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (subject, namespace, role)
);

-- One row. Every change draws a new version under its lock, by which gateways see that there is something new.
CREATE TABLE access_version (
  id boolean PRIMARY KEY DEFAULT true CHECK (id),
  version bigint NOT NULL
);
INSERT INTO access_version (version) VALUES (1);

CREATE FUNCTION raise_access_version() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE access_version SET version = version + 1;
  RETURN NULL;
END
$$;

CREATE TRIGGER access_tokens_version AFTER INSERT OR UPDATE OR DELETE ON access_tokens
  FOR EACH STATEMENT EXECUTE FUNCTION raise_access_version();
CREATE TRIGGER role_bindings_version AFTER INSERT OR UPDATE OR DELETE ON role_bindings
  FOR EACH STATEMENT EXECUTE FUNCTION raise_access_version();
