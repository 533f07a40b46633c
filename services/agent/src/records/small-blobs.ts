import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { algorithmOf, type Digest, digestOf } from '@longshore/oci';
import { openDisposable } from './disposable-database.ts';

/** Manifests, indexes, configs; what is larger is read where the bytes are. */
export const SMALL_BLOB_BYTES = 1024 * 1024;
const MAX_TOTAL_BYTES = 64 * 1024 * 1024;
/** How exactly the order of use is known: a read within this time of the last one writes nothing. */
const USE_GRAIN_MS = 60_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS blob (
    digest  TEXT    PRIMARY KEY,
    size    INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    data    BLOB    NOT NULL
  );
  CREATE INDEX IF NOT EXISTS blob_used ON blob (used_ms, size);
`;

/**
 * The bytes of small blobs that this node has read before, on its disk: those longest unused go first. Who may read a
 * blob, the content records say.
 */
export class SmallBlobs implements Disposable {
  readonly #database: DatabaseSync;
  readonly #maxTotalBytes: number;
  readonly #has: StatementSync;
  readonly #find: StatementSync;
  readonly #use: StatementSync;
  readonly #insert: StatementSync;
  readonly #oldest: StatementSync;
  readonly #delete: StatementSync;
  #totalBytes: number;

  /** `path` is the database file; `:memory:` keeps nothing. */
  constructor(path: string, maxTotalBytes = MAX_TOTAL_BYTES) {
    this.#database = openDisposable(path, SCHEMA);
    this.#maxTotalBytes = maxTotalBytes;
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#has = prepare('SELECT 1 FROM blob WHERE digest = ?');
    this.#find = prepare('SELECT data, used_ms FROM blob WHERE digest = ?');
    this.#use = prepare('UPDATE blob SET used_ms = ? WHERE digest = ?');
    this.#insert = prepare(
      'INSERT INTO blob (digest, size, used_ms, data) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#oldest = prepare('SELECT digest, size FROM blob ORDER BY used_ms LIMIT 1');
    this.#delete = prepare('DELETE FROM blob WHERE digest = ?');
    this.#totalBytes = Number(prepare('SELECT coalesce(sum(size), 0) AS total FROM blob').get()?.total);
  }

  has(digest: string): boolean {
    return this.#has.get(digest) !== undefined;
  }

  get(digest: string): Uint8Array | undefined {
    const row = this.#find.get(digest);
    if (!row) return undefined;
    const now = Date.now();
    if (now - Number(row.used_ms) > USE_GRAIN_MS) this.#noteUse(digest, now);
    return row.data as Uint8Array;
  }

  /** Keeps the bytes if they are the digest's. Throws what SQLite does, e.g. for a full disk. */
  put(digest: Digest, data: Uint8Array): void {
    if (data.length === 0 || data.length > SMALL_BLOB_BYTES) return;
    if (digestOf(data, algorithmOf(digest)) !== digest) return;
    const { changes } = this.#insert.run(digest, data.length, Date.now(), data);
    if (changes === 1) this.#totalBytes += data.length;
    while (this.#totalBytes > this.#maxTotalBytes) this.#evict();
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  /** A full disk takes nothing of what is read but its place in the order. */
  #noteUse(digest: string, now: number): void {
    try {
      this.#use.run(now, digest);
    } catch {
      // Goes earlier than it should.
    }
  }

  #evict(): void {
    const oldest = this.#oldest.get();
    this.#delete.run(String(oldest?.digest));
    this.#totalBytes = oldest ? this.#totalBytes - Number(oldest.size) : 0;
  }
}
