import type { DatabaseSync } from 'node:sqlite';
import { openDisposable } from '../records/disposable-database.ts';

/** One row at most. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS desired (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    owner    TEXT    NOT NULL,
    cordoned INTEGER NOT NULL
  );
`;

/** What the control plane last wanted of this node, on its disk: a start while nobody can be asked goes by it. */
export class DesiredStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #owner: string;

  /** `owner` says of which node and fleet it is: another's word counts for nothing. */
  constructor(path: string, owner: string) {
    this.#database = openDisposable(path, SCHEMA);
    this.#owner = owner;
  }

  get cordoned(): boolean {
    const row = this.#database.prepare('SELECT cordoned FROM desired WHERE owner = ?').get(this.#owner);
    return row?.cordoned === 1;
  }

  /** Throws what SQLite does, e.g. for a full disk. */
  save(cordoned: boolean): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO desired (only, owner, cordoned) VALUES (1, ?, ?)')
      .run(this.#owner, cordoned ? 1 : 0);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
