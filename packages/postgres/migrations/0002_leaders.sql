-- Who leads what must be done by one replica at a time: see leadership.ts.
-- Up Migration

CREATE TABLE leaders (
  name text PRIMARY KEY,
  -- Grows with every take-over.
  term bigint NOT NULL,
  -- For people who look.
  holder text NOT NULL,
  -- By the clock of the database, the only one that counts here.
  expires_at timestamptz NOT NULL,
  -- Makes the term a part of a key: a take-over then waits for the leader's writes (FOR KEY SHARE), a renewal does not.
  CONSTRAINT leaders_term UNIQUE (name, term)
);
