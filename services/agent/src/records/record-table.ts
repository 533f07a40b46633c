import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Filter } from '@longshore/filters';
import type { Record } from '@longshore/proto/longshore/watch/v1/watch';
import type { CopiedRecord } from './copy-reads.ts';
import { findableOf, NOTHING } from './filtered-kinds.ts';
import { LabelIndex } from './label-index.ts';
import { Recent } from './recent.ts';
import { isRecordKind, type RecordKind } from './record-kinds.ts';

/** Read at a time: a millisecond or two. */
const PAGE_RECORDS = 500;

/** A client asks for the same few records again and again: `ctr run` for ten of them, three times each. */
const RECENT_RECORDS = 64;
const MAX_RECENT_BYTES = 32 * 1024;
/** What a node changes is told to it twice: in a trailer, and by a watch within a second. */
const RECENT_REVISIONS = 1_024;

/** A record as it is stored: `isStale` when there is a newer value than this one, which was not told. */
export interface StoredRecord extends CopiedRecord {
  isStale: boolean;
}

/** A record as it was last known. */
interface RecordName {
  kind: RecordKind;
  namespace: string;
  key: string;
  revision: bigint;
}

interface StoredPage {
  records: StoredRecord[];
  next: string | undefined;
}

/** The table of a copy's records: what is stored, whether or not it may be answered. */
export class RecordTable {
  readonly #upsert: StatementSync;
  readonly #see: StatementSync;
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #firstPage: StatementSync;
  readonly #page: StatementSync;
  readonly #byId: StatementSync;
  readonly #stale: StatementSync;
  readonly #labels: LabelIndex;
  readonly #namespaces: StatementSync;
  readonly #deleting: StatementSync;
  readonly #prune: StatementSync;
  readonly #sweep: StatementSync;
  /** As they are stored. */
  readonly #recent = new Recent<StoredRecord>(RECENT_RECORDS);
  /** The newest that is stored of a name, deletions included. */
  readonly #revisions = new Recent<Revision>(RECENT_REVISIONS);

  constructor(database: DatabaseSync) {
    const prepare = (sql: string) => database.prepare(sql);
    this.#upsert = prepare(`
      INSERT INTO record (kind, namespace, key, revision, deleted, deleting, stale, value, seen, applied_ms)
      VALUES (:kind, :namespace, :key, :revision, :deleted, :deleting, :stale, :value, :seen, :now)
      ON CONFLICT (kind, namespace, key) DO UPDATE SET revision = excluded.revision, deleted = excluded.deleted,
        deleting = excluded.deleting, stale = excluded.stale, seen = excluded.seen, applied_ms = excluded.applied_ms,
        value = CASE WHEN excluded.stale THEN record.value ELSE excluded.value END
      WHERE excluded.revision > record.revision
        OR excluded.revision = record.revision AND record.stale AND NOT excluded.stale
        OR record.seen < :sweptFrom
      RETURNING id, value`);
    this.#see = prepare(
      'UPDATE record SET seen = ? WHERE kind = ? AND namespace = ? AND key = ? AND seen < ?',
    );
    this.#get = prepare(`SELECT namespace, key, value, stale, deleting FROM record
      WHERE kind = ? AND namespace = ? AND key = ? AND NOT deleted`);
    this.#list = prepare(`SELECT namespace, key, value, stale, deleting FROM record
      WHERE kind = ? AND namespace = ? AND key >= ? AND NOT deleted ORDER BY key`);
    const page = (comparison: '>=' | '>') =>
      prepare(`SELECT namespace, key, value, stale, deleting FROM record
        WHERE kind = ? AND namespace = ? AND key ${comparison} ? AND NOT deleted ORDER BY key LIMIT ${PAGE_RECORDS}`);
    this.#firstPage = page('>=');
    this.#page = page('>');
    this.#byId = prepare(`SELECT namespace, key, value, stale, deleting FROM record
      WHERE id IN (SELECT value FROM json_each(?)) AND NOT deleted ORDER BY key`);
    this.#stale = prepare(
      'SELECT 1 FROM record WHERE kind = ? AND namespace = ? AND stale AND NOT deleted LIMIT 1',
    );
    this.#labels = new LabelIndex(database);
    this.#namespaces = prepare('SELECT DISTINCT namespace FROM record WHERE NOT deleted ORDER BY namespace');
    this.#deleting = prepare(`SELECT namespace, key FROM record
      WHERE kind = 'container' AND deleting AND NOT deleted ORDER BY namespace, key`);
    this.#sweep = prepare(
      'DELETE FROM record WHERE kind = ? AND seen < ? RETURNING namespace, key, revision, deleted',
    );
    this.#prune = prepare('DELETE FROM record WHERE deleted AND applied_ms < ?');
  }

  get(kind: RecordKind, namespace: string, key: string): StoredRecord | undefined {
    const name = nameOf(kind, namespace, key);
    const recent = this.#recent.get(name);
    if (recent) return recent;
    const row = this.#get.get(kind, namespace, key);
    if (!row) return undefined;
    const record = stored(row);
    if (record.value.length <= MAX_RECENT_BYTES) this.#recent.set(name, record);
    return record;
  }

  /** In byte order of the keys, those that begin with `prefix`, from the one on that has `from` behind it. */
  *list(kind: RecordKind, namespace: string, prefix: string, from = ''): Generator<StoredRecord, undefined> {
    for (const row of this.#list.iterate(kind, namespace, prefix + from)) {
      if (!String(row.key).startsWith(prefix)) return;
      yield stored(row);
    }
  }

  /** At least the records that the filter matches, from the key `from` on, in byte order of the keys. What changes meanwhile may be there or not. */
  *select(kind: RecordKind, namespace: string, filter: Filter, from = ''): Generator<StoredRecord[]> {
    const ids = this.#labels.find(kind, namespace, filter, from);
    if (ids) {
      for (let at = 0; at < ids.length; at += PAGE_RECORDS) {
        yield this.#byId.all(JSON.stringify(ids.slice(at, at + PAGE_RECORDS))).map(stored);
      }
      return;
    }
    let page = pageOf(this.#firstPage.all(kind, namespace, from));
    while (page.next !== undefined) {
      yield page.records;
      page = pageOf(this.#page.all(kind, namespace, page.next));
    }
    yield page.records;
  }

  /** Whether there is a record with a newer value than is known. */
  hasStale(kind: RecordKind, namespace: string): boolean {
    return this.#stale.get(kind, namespace) !== undefined;
  }

  /** Namespaces in which there is any record, in byte order. */
  namespaces(): string[] {
    return this.#namespaces.all().map(({ namespace }) => String(namespace));
  }

  deletingContainers(): { namespace: string; id: string }[] {
    return this.#deleting
      .all()
      .map(({ namespace, key }) => ({ namespace: String(namespace), id: String(key) }));
  }

  /**
   * Stores a record that is newer than what is there, and answers whether it was. One that was not heard of since the
   * round of `sweptFrom` began is what a keeper said that has since gone back, e.g. to a backup: then a lower revision is
   * the truth.
   */
  put(record: Record, round: number, sweptFrom = -1): boolean {
    const { kind, namespace, key, revision, deleted, deleting, value } = record;
    if (!isRecordKind(kind)) return false;
    const name = nameOf(kind, namespace, key);
    this.#recent.delete(name);
    const row = this.#upsert.get({
      kind,
      namespace,
      key,
      revision,
      deleted: deleted ? 1 : 0,
      deleting: deleting ? 1 : 0,
      stale: isStale(record) ? 1 : 0,
      value,
      seen: round,
      now: Date.now(),
      sweptFrom,
    });
    if (!row) return false;
    this.#labels.put(
      Number(row.id),
      kind,
      namespace,
      deleted ? NOTHING : findableOf(kind, row.value as Uint8Array),
    );
    this.#revisions.set(name, { revision, isStale: isStale(record) });
    return true;
  }

  /** True for a record that {@link put} would not store, outside of a sweep; false also when that takes a look at the disk. */
  isOld(record: Record): boolean {
    const { kind, namespace, key, revision } = record;
    const newest = this.#revisions.get(nameOf(kind, namespace, key));
    if (!newest || revision > newest.revision) return false;
    return revision < newest.revision || !newest.isStale || isStale(record);
  }

  /** To be called when what was put is not stored after all. */
  forgetRecent(): void {
    this.#recent.clear();
    this.#revisions.clear();
  }

  /** A record was heard of in a round, and is not news. */
  see({ kind, namespace, key }: Record, round: number): void {
    this.#see.run(round, kind, namespace, key, round);
  }

  /** Forgets the records of a kind that were not heard of since the round of `sweptFrom` began; answers those that were there. */
  sweep(kind: RecordKind, sweptFrom: number): RecordName[] {
    this.forgetRecent();
    return this.#sweep
      .all(kind, sweptFrom)
      .filter(({ deleted }) => deleted === 0)
      .map(({ namespace, key, revision }) => ({
        kind,
        namespace: String(namespace),
        key: String(key),
        revision: BigInt(revision as number),
      }));
  }

  /** Forgets deletions that were heard of before. */
  pruneDeletions(beforeMs: number): void {
    this.#prune.run(beforeMs);
  }
}

function pageOf(rows: { [column: string]: unknown }[]): StoredPage {
  const records = rows.map(stored);
  return { records, next: records.length === PAGE_RECORDS ? records.at(-1)?.key : undefined };
}

interface Revision {
  revision: bigint;
  isStale: boolean;
}

/** None of the parts but the last can hold a slash. */
function nameOf(kind: string, namespace: string, key: string): string {
  return `${kind}/${namespace}/${key}`;
}

/** There is a value, which is not told. */
function isStale({ deleted, value }: Record): boolean {
  return !deleted && value.length === 0;
}

function stored(row: { [column: string]: unknown }): StoredRecord {
  return {
    namespace: String(row.namespace),
    key: String(row.key),
    value: row.value as Uint8Array,
    deleting: row.deleting === 1,
    isStale: row.stale === 1,
  };
}
