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
  readonly #listeners = new Set<() => void>();

  /** `path` is the database file; `:memory:` keeps nothing. */
  constructor(path: string) {
    this.#database = openDatabase(path, SCHEMA);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#insert = prepare(
      'INSERT INTO event (id, envelope, recorded_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#find = prepare('SELECT sequence FROM event WHERE id = ?');
    this.#unsent = prepare(
      'SELECT sequence, id, envelope FROM event WHERE sent_ms IS NULL ORDER BY sequence LIMIT ?',
    );
    this.#markSent = prepare('UPDATE event SET sent_ms = ? WHERE sent_ms IS NULL AND sequence <= ?');
    this.#prune = prepare('DELETE FROM event WHERE sent_ms < ?');
  }

  /** The first event recorded with an id is the one that counts. */
  record({ id, envelope }: SpoolEvent): Recorded {
    const inserted = this.#insert.run(id, toBinary(EnvelopeSchema, envelope), Date.now());
    if (inserted.changes === 0) return { sequence: Number(this.#find.get(id)?.sequence), fresh: false };
    for (const listener of this.#listeners) listener();
    return { sequence: Number(inserted.lastInsertRowid), fresh: true };
  }

  /** Calls `listener` after each fresh event; the answer ends that. */
  onFresh(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The oldest entries that are not marked as sent, in order. */
  unsent(limit: number): SpoolEntry[] {
    return this.#unsent.all(limit).map((row) => ({
      sequence: Number(row.sequence),
      id: String(row.id),
      envelope: fromBinary(EnvelopeSchema, row.envelope as Uint8Array),
    }));
  }

  /** The control plane has every entry up to and including `sequence`. */
  markSent(sequence: number): void {
    this.#markSent.run(Date.now(), sequence);
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
