import type { DatabaseSync } from 'node:sqlite';
import { openDisposable } from '../records/disposable-database.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS own_labels (
    owner     TEXT NOT NULL,
    namespace TEXT NOT NULL,
    container TEXT NOT NULL,
    label     TEXT NOT NULL,
    value     TEXT NOT NULL,
    was       TEXT,
    made      TEXT NOT NULL,
    PRIMARY KEY (owner, namespace, container, label)
  ) WITHOUT ROWID;
`;

/** A label of a container that the control plane has not been told of. */
export interface OwnLabel {
  namespace: string;
  id: string;
  label: string;
  value: string;
  /** What the label was before. */
  was: string | undefined;
  /** When the container was made, which tells it from a later one of its name. */
  made: string;
}

/** Labels that could not be written yet, on this node's disk. Its methods throw what SQLite does, e.g. for a full disk. */
export class OwnLabelStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #owner: string;

  /** `owner` says of which node and fleet it is: another's containers are not these. */
  constructor(path: string, owner: string) {
    this.#database = openDisposable(path, SCHEMA, knowsContainers);
    this.#owner = owner;
    this.#database.prepare('DELETE FROM own_labels WHERE owner <> ?').run(owner);
  }

  all(): OwnLabel[] {
    const select = 'SELECT namespace, container, label, value, was, made FROM own_labels WHERE owner = ?';
    const rows = this.#database.prepare(select).all(this.#owner) as Record<string, string | null>[];
    return rows.map(({ namespace, container, label, value, was, made }) => ({
      namespace: namespace!,
      id: container!,
      label: label!,
      value: value!,
      was: was ?? undefined,
      made: made!,
    }));
  }

  put({ namespace, id, label, value, was, made }: OwnLabel): void {
    const insert =
      'INSERT OR REPLACE INTO own_labels (owner, namespace, container, label, value, was, made) VALUES (?, ?, ?, ?, ?, ?, ?)';
    this.#database.prepare(insert).run(this.#owner, namespace, id, label, value, was ?? null, made);
  }

  remove(namespace: string, id: string, label: string): void {
    const where = 'owner = ? AND namespace = ? AND container = ? AND label = ?';
    this.#database.prepare(`DELETE FROM own_labels WHERE ${where}`).run(this.#owner, namespace, id, label);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** One of an earlier version does not; preparing throws. */
function knowsContainers(database: DatabaseSync): boolean {
  return database.prepare('SELECT made FROM own_labels') !== undefined;
}
