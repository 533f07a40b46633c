import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { openDatabase } from './open-database.ts';

/** An event with the id that makes it one event, however often it is reported. */
export interface SpoolEvent {
  id: string;
  envelope: Envelope;
}

export interface SpoolEntry extends SpoolEvent {
  /** Increases in the order in which this node recorded its events; never used twice. */
  sequence: number;
  /** Milliseconds since 1970, by this node's clock. */
  recordedMs: number;
}

export interface Recorded {
  sequence: number;
  /** False when an event with this id was there already; what it says stays. */
  fresh: boolean;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS event (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    envelope    BLOB    NOT NULL,
    recorded_ms INTEGER NOT NULL,
    sent_ms     INTEGER
  );
  CREATE INDEX IF NOT EXISTS event_unsent ON event (sequence) WHERE sent_ms IS NULL;
  CREATE INDEX IF NOT EXISTS event_sent ON event (sent_ms) WHERE sent_ms IS NOT NULL;
`;

/** The events that this node recorded by itself, on disk until the control plane has had them for some time. */
export class EventSpool implements Disposable {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #unsent: StatementSync;
  readonly #markSent: StatementSync;
  readonly #prune: StatementSync;
  readonly #newestSent: StatementSync;
  readonly #unmark: StatementSync;
  readonly #listeners = new Set<(event?: SpoolEvent) => void>();

  /** `path` is the database file; `:memory:` keeps nothing. */
  constructor(path: string) {
    this.#database = openDatabase(path, SCHEMA);
    addStreamSequence(this.#database);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#insert = prepare(
      'INSERT INTO event (id, envelope, recorded_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#find = prepare('SELECT sequence FROM event WHERE id = ?');
    this.#unsent = prepare(
      'SELECT sequence, id, envelope, recorded_ms FROM event WHERE sent_ms IS NULL ORDER BY sequence LIMIT ?',
    );
    this.#markSent = prepare('UPDATE event SET sent_ms = ?, stream_seq = ? WHERE sequence = ?');
    this.#newestSent = prepare(
      'SELECT id, stream_seq FROM event WHERE stream_seq IS NOT NULL ORDER BY stream_seq DESC LIMIT 1',
    );
    this.#unmark = prepare(
      'UPDATE event SET sent_ms = NULL, stream_seq = NULL WHERE sent_ms IS NOT NULL AND stream_seq >= ?',
    );
    this.#prune = prepare('DELETE FROM event WHERE sent_ms < ?');
  }

  /** The first event recorded with an id is the one that counts. */
  record(event: SpoolEvent): Recorded {
    const { id, envelope } = event;
    const inserted = this.#insert.run(id, toBinary(EnvelopeSchema, envelope), Date.now());
    if (inserted.changes === 0) return { sequence: Number(this.#find.get(id)?.sequence), fresh: false };
    for (const listener of this.#listeners) listener(event);
    return { sequence: Number(inserted.lastInsertRowid), fresh: true };
  }

  /** Calls `listener` with each fresh event, and without one when old ones are to be sent again; the answer ends that. */
  onFresh(listener: (event?: SpoolEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The oldest entries that are not marked as sent, in order: as many as `maxBytes` hold, and one in any case. */
  unsent(limit: number, maxBytes = Number.POSITIVE_INFINITY): SpoolEntry[] {
    const entries: SpoolEntry[] = [];
    let sizeBytes = 0;
    for (const row of this.#unsent.iterate(limit)) {
      const envelope = row.envelope as Uint8Array;
      sizeBytes += envelope.length;
      if (entries.length > 0 && sizeBytes > maxBytes) break;
      entries.push({
        sequence: Number(row.sequence),
        id: String(row.id),
        envelope: fromBinary(EnvelopeSchema, envelope),
        recordedMs: Number(row.recorded_ms),
      });
    }
    return entries;
  }

  /** The stream keeps these entries, each at its own place. */
  markSent(entries: readonly { sequence: number; streamSequence: bigint }[]): void {
    this.#database.exec('BEGIN');
    try {
      for (const { sequence, streamSequence } of entries)
        this.#markSent.run(Date.now(), streamSequence, sequence);
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk, say. Left open, the transaction would take in every event that follows, and lose them with the process.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** The entry that is furthest along in the stream. */
  newestSent(): { id: string; streamSequence: bigint } | undefined {
    const row = this.#newestSent.get();
    return row && { id: String(row.id), streamSequence: BigInt(row.stream_seq as number) };
  }

  /** The stream has lost what it had from this place on, or some of it: those entries are unsent again. */
  unmarkFrom(streamSequence: bigint): number {
    const unmarked = Number(this.#unmark.run(streamSequence).changes);
    for (const listener of this.#listeners) listener();
    return unmarked;
  }

  /** Forgets what was sent longer than `ageMs` ago, ids included. What is unsent stays. Answers how many went. */
  prune(ageMs: number): number {
    return Number(this.#prune.run(Date.now() - ageMs).changes);
  }

  close(): void {
    this.#listeners.clear();
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Where the stream keeps an event; spools that were made before this was known lack the column. */
function addStreamSequence(database: DatabaseSync): void {
  const columns = database.prepare('PRAGMA table_info(event)').all();
  if (!columns.some(({ name }) => name === 'stream_seq'))
    database.exec('ALTER TABLE event ADD COLUMN stream_seq INTEGER');
  database.exec(
    'CREATE INDEX IF NOT EXISTS event_stream_seq ON event (stream_seq) WHERE stream_seq IS NOT NULL',
  );
}
