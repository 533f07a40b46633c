import type { DatabaseSync } from 'node:sqlite';
import { openDisposable } from './disposable-database.ts';

/** Of the tables below: a copy with another one is made anew. */
const VERSION = 3;

/**
 * `record_label` says which records can have a label; see `label-index.ts`. `seen` is the round of the watch in which a record was last heard of; `stale`: there is a newer value than this one,
 * which was not told. Of a keeper, `swept_from` is the round from which on a record must have been heard of to survive the
 * next `synced`; null while nothing was reset.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS record (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    deleted    INTEGER NOT NULL,
    deleting   INTEGER NOT NULL,
    stale      INTEGER NOT NULL,
    value      BLOB    NOT NULL,
    seen       INTEGER NOT NULL,
    applied_ms INTEGER NOT NULL,
    UNIQUE (kind, namespace, key)
  );
  CREATE INDEX IF NOT EXISTS record_deleted ON record (applied_ms) WHERE deleted;
  CREATE INDEX IF NOT EXISTS record_namespace ON record (namespace) WHERE NOT deleted;
  CREATE INDEX IF NOT EXISTS record_stale ON record (kind, namespace) WHERE stale AND NOT deleted;
  CREATE INDEX IF NOT EXISTS record_deleting ON record (kind) WHERE deleting;
  CREATE TABLE IF NOT EXISTS record_label (
    record INTEGER NOT NULL,
    entry  INTEGER NOT NULL,
    PRIMARY KEY (entry, record)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS record_label_record ON record_label (record);
  CREATE TRIGGER IF NOT EXISTS record_gone AFTER DELETE ON record BEGIN
    DELETE FROM record_label WHERE record = OLD.id;
  END;
  CREATE TABLE IF NOT EXISTS keeper (
    name       TEXT    PRIMARY KEY,
    position   TEXT    NOT NULL DEFAULT '',
    round      INTEGER NOT NULL DEFAULT 0,
    synced     INTEGER NOT NULL DEFAULT 0,
    swept_from INTEGER
  );
  CREATE TABLE IF NOT EXISTS owner (name TEXT NOT NULL);
`;

/** Opens the database of a copy, whose `owner` says of which node and fleet it is: another's is discarded. */
export function openCopyDatabase(path: string, owner: string): DatabaseSync {
  const database = openDisposable(path, SCHEMA, (found) => isNew(found) || isOurs(found, owner));
  if (isNew(database)) {
    database.exec(`PRAGMA user_version = ${VERSION}`);
    database.prepare('INSERT INTO owner (name) VALUES (?)').run(owner);
  }
  return database;
}

function isNew(database: DatabaseSync): boolean {
  return database.prepare('SELECT name FROM owner').get() === undefined;
}

function isOurs(database: DatabaseSync, owner: string): boolean {
  const version = database.prepare('PRAGMA user_version').get()?.user_version;
  return version === VERSION && database.prepare('SELECT name FROM owner').get()?.name === owner;
}
