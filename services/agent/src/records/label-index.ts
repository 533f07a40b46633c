import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Conjunction, Filter } from '@longshore/filters';
import { type Findable, isFindable } from './filtered-kinds.ts';
import type { RecordKind } from './record-kinds.ts';

/** Bytes of a hash that a number of SQLite and of JavaScript holds. */
const ENTRY_BYTES = 6;
/** More are found by reading all records of the kind, a page at a time: looking each up takes longer. */
const MAX_FOUND = 20_000;
/** A filter with more alternatives asks for almost anything. */
const MAX_ENTRIES = 100;

/** Says which records can have a label, or a value of some fields. It may name others too: what is found has to be looked at. */
export class LabelIndex {
  readonly #remove: StatementSync;
  readonly #insert: StatementSync;
  readonly #find: StatementSync;

  constructor(database: DatabaseSync) {
    this.#remove = database.prepare('DELETE FROM record_label WHERE record = ?');
    this.#insert = database.prepare('INSERT OR IGNORE INTO record_label (record, entry) VALUES (?, ?)');
    // The kind and the namespace are in the entries; looked for in their index, each record of them would be read.
    this.#find = database.prepare(`SELECT id FROM record
      WHERE id IN (SELECT record FROM record_label WHERE entry IN (SELECT value FROM json_each(?)))
        AND +kind = ? AND +namespace = ? AND +key >= ? AND NOT deleted
      ORDER BY key LIMIT ${MAX_FOUND + 1}`);
  }

  /** Replaces what is known of a record. */
  put(record: number, kind: RecordKind, namespace: string, { labels, fields }: Findable): void {
    this.#remove.run(record);
    for (const [name, value] of Object.entries(fields)) {
      this.#insert.run(record, fieldEntry(kind, namespace, name, value));
    }
    for (const [name, value] of Object.entries(labels)) {
      this.#insert.run(record, entryOf(kind, namespace, name));
      this.#insert.run(record, entryOf(kind, namespace, name, value));
    }
  }

  /**
   * Ids of the records that the filter can match, from the key `from` on, in byte order of their keys; undefined when labels do not say, or when
   * there are too many.
   */
  find(kind: RecordKind, namespace: string, { alternatives }: Filter, from = ''): number[] | undefined {
    const entries: number[] = [];
    for (const selectors of alternatives) {
      const entry = entryFor(kind, namespace, selectors);
      if (entry === undefined || entries.length === MAX_ENTRIES) return undefined;
      entries.push(entry);
    }
    const found = this.#find.all(JSON.stringify(entries), kind, namespace, from);
    return found.length > MAX_FOUND ? undefined : found.map(({ id }) => Number(id));
  }
}

/** Of one selector, by which the others need not be looked up. */
function entryFor(kind: RecordKind, namespace: string, selectors: Conjunction): number | undefined {
  const isOf = (path: readonly string[]) => path.length === 1 && isFindable(kind, path[0]!);
  const field = selectors.find(({ operator, path }) => operator === 'equal' && isOf(path));
  if (field) return fieldEntry(kind, namespace, field.path[0]!, field.value);
  const labels = selectors.filter(({ path }) => path[0] === 'labels' && path.length > 1);
  const equal = labels.find(({ operator }) => operator === 'equal');
  const chosen = equal ?? labels.find(({ operator }) => operator === 'present');
  if (!chosen) return undefined;
  return entryOf(kind, namespace, chosen.path.slice(1).join('.'), ...(equal ? [equal.value] : []));
}

/** No label has an empty name. */
function fieldEntry(kind: RecordKind, namespace: string, field: string, value: string): number {
  return entryOf(kind, namespace, '', field, value);
}

function entryOf(...parts: readonly string[]): number {
  return hash('sha1', JSON.stringify(parts), 'buffer').readUIntBE(0, ENTRY_BYTES);
}
