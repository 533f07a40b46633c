import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Record, WatchResponse } from '@longshore/proto/longshore/watch/v1/watch';
import { openCopyDatabase } from './copy-database.ts';
import { isRecordKind, KEEPERS, type Keeper, keeperOf, type RecordKind } from './record-kinds.ts';

/** By then no older word of a deleted record is on its way any more. */
const TOMBSTONES_KEPT_MS = 10 * 60_000;

/** Read at a time: a millisecond or two. */
const PAGE_RECORDS = 500;

/** A record that is there. */
export interface CopiedRecord {
  namespace: string;
  key: string;
  /** The message of the record's kind, as `longshore.watch.v1.Record` says. */
  value: Uint8Array;
  deleting: boolean;
}

export interface RecordPage {
  records: CopiedRecord[];
  /** The key behind which the next page begins; undefined at the end. */
  next: string | undefined;
}

export interface DeletingContainer {
  namespace: string;
  id: string;
}

/** Answers questions about records; see {@link RecordCopy}. */
export interface CopyReads {
  isComplete(keeper: Keeper): boolean;
  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined;
  list(kind: RecordKind, namespace: string, prefix?: string): CopiedRecord[] | 'stale';
  page(kind: RecordKind, namespace: string, after: string): RecordPage | 'stale';
  namespaces(): string[];
  /** What is to be answered when nobody can be asked. */
  readonly lastKnown: CopyReads;
}

/** Hears of every record that the copy has taken over, after it has. */
export type RecordListener = (record: Record) => void;

interface KeeperState {
  position: string;
  round: number;
  isSynced: boolean;
  sweptFrom: number | undefined;
  /** The round in which a change went missing; until a later one is `synced`. */
  doubtedIn: number | undefined;
}

/**
 * This node's records as the control plane keeps them, on this node's disk. It is told of changes by whoever hears of
 * them, in any order and as often as they like: the revision decides. Only complete copies of a keeper answer; see
 * {@link isComplete}.
 */
export class RecordCopy implements CopyReads, Disposable {
  readonly lastKnown: CopyReads = new LastKnown(this);
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #see: StatementSync;
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #page: StatementSync;
  readonly #namespaces: StatementSync;
  readonly #deleting: StatementSync;
  readonly #keep: StatementSync;
  readonly #prune: StatementSync;
  readonly #keepers = new Map<Keeper, KeeperState>();
  readonly #listeners = new Set<RecordListener>();
  #prunedBefore = 0;
  /** Kind and namespace → how many changes are on their way. */
  readonly #expected = new Map<string, number>();
  /** The same of changes that may have happened unheard. */
  readonly #doubted = new Map<string, number>();

  /** `path` is the database file, `:memory:` keeps nothing; a copy of another `owner` is discarded. */
  constructor(path: string, owner: string) {
    this.#database = openCopyDatabase(path, owner);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#upsert = prepare(`
      INSERT INTO record (kind, namespace, key, revision, deleted, deleting, stale, value, seen, applied_ms)
      VALUES (:kind, :namespace, :key, :revision, :deleted, :deleting, :stale, :value, :seen, :now)
      ON CONFLICT (kind, namespace, key) DO UPDATE SET revision = excluded.revision, deleted = excluded.deleted,
        deleting = excluded.deleting, stale = excluded.stale, seen = excluded.seen, applied_ms = excluded.applied_ms,
        value = CASE WHEN excluded.stale THEN record.value ELSE excluded.value END
      WHERE excluded.revision > record.revision
        OR excluded.revision = record.revision AND record.stale AND NOT excluded.stale
        OR record.seen < :sweptFrom`);
    this.#see = prepare(
      'UPDATE record SET seen = ? WHERE kind = ? AND namespace = ? AND key = ? AND seen < ?',
    );
    this.#get = prepare(`SELECT value, stale, deleting FROM record
      WHERE kind = ? AND namespace = ? AND key = ? AND NOT deleted`);
    this.#list = prepare(`SELECT namespace, key, value, stale, deleting FROM record
      WHERE kind = ? AND namespace = ? AND key >= ? AND NOT deleted ORDER BY key`);
    this.#page = prepare(`SELECT namespace, key, value, stale, deleting FROM record
      WHERE kind = ? AND namespace = ? AND key > ? AND NOT deleted ORDER BY key LIMIT ${PAGE_RECORDS}`);
    this.#namespaces = prepare('SELECT DISTINCT namespace FROM record WHERE NOT deleted ORDER BY namespace');
    this.#deleting = prepare(`SELECT namespace, key FROM record
      WHERE kind = 'container' AND deleting AND NOT deleted ORDER BY namespace, key`);
    this.#keep = prepare(
      'UPDATE keeper SET position = ?, round = ?, synced = ?, swept_from = ? WHERE name = ?',
    );
    this.#prune = prepare('DELETE FROM record WHERE deleted AND applied_ms < ?');
    this.#loadKeepers();
  }

  /** Whether the keeper's records were all here once, and no change since is known to be missing. */
  isComplete(keeper: Keeper): boolean {
    const { isSynced, doubtedIn } = this.#state(keeper);
    return isSynced && doubtedIn === undefined;
  }

  /** Whether the keeper's records were all here once. */
  wasComplete(keeper: Keeper): boolean {
    return this.#state(keeper).isSynced;
  }

  /** A change may be missing: the keeper's records answer no questions until a round that is yet to begin is `synced`. */
  doubt(keeper: Keeper): void {
    const state = this.#state(keeper);
    state.doubtedIn = state.round;
  }

  /** Takes over what is newer than what is here. Throws what SQLite does, e.g. for a full disk; then nothing is taken. */
  apply(records: readonly Record[]): void {
    this.#transaction(() => records.filter((record) => this.#take(record, -1)));
  }

  /** Where a watch of the keeper goes on, and the number of this round, which {@link applyWatched} wants. */
  beginRound(keeper: Keeper): { position: string; round: number } {
    const state = this.#state(keeper);
    state.round += 1;
    this.#save(keeper, state);
    return { position: state.position, round: state.round };
  }

  /** Takes over what a watch tells, with the position after it. Throws what SQLite does; then nothing is taken. */
  applyWatched(
    keeper: Keeper,
    round: number,
    { records, position, reset, synced }: Pick<WatchResponse, 'records' | 'position' | 'reset' | 'synced'>,
  ): void {
    const next = { ...this.#state(keeper) };
    if (reset) Object.assign(next, { sweptFrom: round, position: '' });
    if (position !== '') next.position = position;
    this.#transaction(
      () => {
        const taken = records.filter((record) => this.#takeWatched(record, next.sweptFrom));
        if (synced) {
          if (next.sweptFrom !== undefined) this.#sweep(keeper, next.sweptFrom);
          Object.assign(next, { isSynced: true, sweptFrom: undefined });
          if (next.doubtedIn !== undefined && round > next.doubtedIn) next.doubtedIn = undefined;
        }
        this.#pruneNowAndThen();
        this.#save(keeper, next);
        return taken;
      },
      () => this.#keepers.set(keeper, next),
    );
  }

  /**
   * Something of a kind may be made in a namespace, and its maker know before this copy does: until the answer is called,
   * what is not here is `stale` instead of not there.
   */
  expectNew(kind: RecordKind, namespace: string): () => void {
    return countIn(this.#expected, placeOf(kind, namespace));
  }

  /** Something of a kind may have changed in a namespace, unheard: until the answer is called, all of that is `stale`. */
  doubtPlace(kind: RecordKind, namespace: string): () => void {
    return countIn(this.#doubted, placeOf(kind, namespace));
  }

  /** Answers `stale` when only the control plane knows the record's value. */
  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined {
    if (this.#doubted.has(placeOf(kind, namespace))) return 'stale';
    const row = this.#get.get(kind, namespace, key);
    if (!row) return this.#expected.has(placeOf(kind, namespace)) ? 'stale' : undefined;
    return row.stale ? 'stale' : copied({ ...row, namespace, key });
  }

  /** In byte order of the keys, those that begin with `prefix`; `stale` when only the control plane knows one's value. */
  list(kind: RecordKind, namespace: string, prefix = ''): CopiedRecord[] | 'stale' {
    if (this.#isUncertain(kind, namespace)) return 'stale';
    const records: CopiedRecord[] = [];
    for (const row of this.#list.iterate(kind, namespace, prefix)) {
      if (!String(row.key).startsWith(prefix)) break;
      if (row.stale) return 'stale';
      records.push(copied(row));
    }
    return records;
  }

  /** {@link list} in pieces, for lists that are long: between two of them others have their turn, and records may change. */
  page(kind: RecordKind, namespace: string, after: string): RecordPage | 'stale' {
    if (this.#isUncertain(kind, namespace)) return 'stale';
    const rows = this.#page.all(kind, namespace, after);
    return rows.some(({ stale }) => stale) ? 'stale' : pageOf(rows, rows);
  }

  /** {@link get} of what was last heard, however old; `stale` when no value of the record ever was. */
  getLastKnown(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined {
    const row = this.#get.get(kind, namespace, key);
    if (!row) return undefined;
    return hasValue(row) ? copied({ ...row, namespace, key }) : 'stale';
  }

  /** {@link page} of what was last heard, without the records of which no value ever was. */
  pageLastKnown(kind: RecordKind, namespace: string, after: string): RecordPage {
    const rows = this.#page.all(kind, namespace, after);
    return pageOf(rows, rows.filter(hasValue));
  }

  /** Namespaces in which there is any record, in byte order. */
  namespaces(): string[] {
    return this.#namespaces.all().map(({ namespace }) => String(namespace));
  }

  /** Containers that go when this node agrees. */
  deletingContainers(): DeletingContainer[] {
    return this.#deleting
      .all()
      .map(({ namespace, key }) => ({ namespace: String(namespace), id: String(key) }));
  }

  /** Calls `listener` for each container that goes when this node agrees: those of now, and each that follows. */
  onDeleting(listener: (container: DeletingContainer) => void): () => void {
    for (const container of this.deletingContainers()) listener(container);
    return this.onChange(({ kind, namespace, key, deleting, deleted }) => {
      if (kind === 'container' && deleting && !deleted) listener({ namespace, id: key });
    });
  }

  /** Calls `listener` after each change; the answer ends that. */
  onChange(listener: RecordListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#database.close();
  }

  #isUncertain(kind: RecordKind, namespace: string): boolean {
    const place = placeOf(kind, namespace);
    return this.#expected.has(place) || this.#doubted.has(place);
  }

  #loadKeepers(): void {
    const insert = this.#database.prepare('INSERT INTO keeper (name) VALUES (?) ON CONFLICT DO NOTHING');
    const select = this.#database.prepare(
      'SELECT position, round, synced, swept_from FROM keeper WHERE name = ?',
    );
    for (const keeper of KEEPERS) {
      insert.run(keeper);
      const row = select.get(keeper)!;
      this.#keepers.set(keeper, {
        position: String(row.position),
        round: Number(row.round),
        isSynced: row.synced === 1,
        sweptFrom: row.swept_from === null ? undefined : Number(row.swept_from),
        doubtedIn: undefined,
      });
    }
  }

  #state(keeper: Keeper): KeeperState {
    return this.#keepers.get(keeper) as KeeperState;
  }

  #save(keeper: Keeper, { position, round, isSynced, sweptFrom }: KeeperState): void {
    this.#keep.run(position, round, isSynced ? 1 : 0, sweptFrom ?? null, keeper);
  }

  /**
   * A record that was not heard of since the round of `sweptFrom` began is what a keeper said that has since gone back,
   * e.g. to a backup: then a lower revision is the truth.
   */
  #take(record: Record, sweptFrom: number): boolean {
    const { kind, namespace, key, revision, deleted, deleting, value } = record;
    if (!isRecordKind(kind)) return false;
    const { changes } = this.#upsert.run({
      kind,
      namespace,
      key,
      revision,
      deleted: deleted ? 1 : 0,
      deleting: deleting ? 1 : 0,
      stale: !deleted && value.length === 0 ? 1 : 0,
      value,
      seen: this.#state(keeperOf(kind)).round,
      now: Date.now(),
      sweptFrom,
    });
    return changes === 1;
  }

  #takeWatched(record: Record, sweptFrom: number | undefined): boolean {
    if (this.#take(record, sweptFrom ?? -1)) return true;
    const { kind, namespace, key } = record;
    if (sweptFrom === undefined || !isRecordKind(kind)) return false;
    const { round } = this.#state(keeperOf(kind));
    this.#see.run(round, kind, namespace, key, round);
    return false;
  }

  #sweep(keeper: Keeper, sweptFrom: number): void {
    const kinds = ['container', 'sandbox', 'image', 'namespace', 'content', 'snapshot'] as const;
    const sweep = this.#database.prepare('DELETE FROM record WHERE kind = ? AND seen < ?');
    for (const kind of kinds) if (keeperOf(kind) === keeper) sweep.run(kind, sweptFrom);
  }

  #pruneNowAndThen(): void {
    const before = Date.now() - TOMBSTONES_KEPT_MS;
    if (before < this.#prunedBefore + TOMBSTONES_KEPT_MS) return;
    this.#prune.run(before);
    this.#prunedBefore = before;
  }

  /** All of the work or none; `work` answers the records that it took, which the listeners hear of. */
  #transaction(work: () => Record[], onCommit?: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    let taken: Record[];
    try {
      taken = work();
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
    onCommit?.();
    for (const record of taken) for (const listener of this.#listeners) listener(record);
  }
}

/** What a copy last heard of its keepers, for when they cannot be asked. Nothing, until their records were all here once. */
class LastKnown implements CopyReads {
  readonly #copy: RecordCopy;

  constructor(copy: RecordCopy) {
    this.#copy = copy;
  }

  get lastKnown(): CopyReads {
    return this;
  }

  isComplete(keeper: Keeper): boolean {
    return this.#copy.wasComplete(keeper);
  }

  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined {
    return this.#copy.getLastKnown(kind, namespace, key);
  }

  list(kind: RecordKind, namespace: string, prefix = ''): CopiedRecord[] {
    const records: CopiedRecord[] = [];
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = this.page(kind, namespace, after);
      records.push(...page.records.filter(({ key }) => key.startsWith(prefix)));
      after = page.next;
    }
    return records;
  }

  page(kind: RecordKind, namespace: string, after: string): RecordPage {
    return this.#copy.pageLastKnown(kind, namespace, after);
  }

  namespaces(): string[] {
    return this.#copy.namespaces();
  }
}

/** Which namespace a change of a namespace is about, its headers do not say. */
function placeOf(kind: RecordKind, namespace: string): string {
  return kind === 'namespace' ? kind : `${kind} ${namespace}`;
}

/** Counts one more in a place, and one less when the answer is called. */
function countIn(counts: Map<string, number>, place: string): () => void {
  counts.set(place, (counts.get(place) ?? 0) + 1);
  return () => {
    const left = (counts.get(place) ?? 0) - 1;
    if (left > 0) counts.set(place, left);
    else counts.delete(place);
  };
}

function hasValue({ stale, value }: { [column: string]: unknown }): boolean {
  return !stale || (value as Uint8Array).length > 0;
}

function pageOf(read: { [column: string]: unknown }[], chosen: { [column: string]: unknown }[]): RecordPage {
  const next = read.length === PAGE_RECORDS ? String(read.at(-1)?.key) : undefined;
  return { records: chosen.map(copied), next };
}

function copied(row: { [column: string]: unknown }): CopiedRecord {
  return {
    namespace: String(row.namespace),
    key: String(row.key),
    value: row.value as Uint8Array,
    deleting: row.deleting === 1,
  };
}
