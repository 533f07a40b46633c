import type { DatabaseSync } from 'node:sqlite';
import { create } from '@bufbuild/protobuf';
import type { Filter } from '@longshore/filters';
import { WHOLE_LIST } from '@longshore/kit';
import { type Record, RecordSchema, type WatchResponse } from '@longshore/proto/longshore/watch/v1/watch';
import { openCopyDatabase } from './copy-database.ts';
import type { CopiedRecord, CopyReads } from './copy-reads.ts';
import { KeeperTable } from './keeper-table.ts';
import { LastKnown } from './last-known.ts';
import { isRecordKind, type Keeper, keeperOf, kindsOf, type RecordKind } from './record-kinds.ts';
import { RecordTable } from './record-table.ts';
import { UncertainPlaces } from './uncertain-places.ts';

/** By then no older word of a deleted record is on its way any more. */
const TOMBSTONES_KEPT_MS = 10 * 60_000;

/** How old the stored place of a watch may be: what came after it is told again to the next process. */
const POSITION_GRAIN_MS = 5_000;

export interface DeletingContainer {
  namespace: string;
  id: string;
}

/** Hears of every record that the copy has taken over or forgotten, after it has. */
export type RecordListener = (record: Record) => void;

/**
 * This node's records as the control plane keeps them, on this node's disk. It is told of changes by whoever hears of
 * them, in any order and as often as they like: the revision decides. Only complete copies of a keeper answer; see
 * {@link isComplete}.
 */
export class RecordCopy implements CopyReads, Disposable {
  readonly lastKnown: LastKnown;
  readonly #database: DatabaseSync;
  readonly #records: RecordTable;
  readonly #keepers: KeeperTable;
  readonly #listeners = new Set<RecordListener>();
  /** Where something new is on its way. */
  readonly #expected = new UncertainPlaces();
  /** Where something may have changed, unheard. */
  readonly #doubted = new UncertainPlaces();
  #prunedBefore = 0;
  /** When the place of each watch was stored. */
  readonly #savedAtMs = new Map<Keeper, number>();

  /** `path` is the database file, `:memory:` keeps nothing; a copy of another `owner` is discarded. */
  constructor(path: string, owner: string) {
    this.#database = openCopyDatabase(path, owner);
    this.#records = new RecordTable(this.#database);
    this.#keepers = new KeeperTable(this.#database);
    this.lastKnown = new LastKnown(this.#records, (keeper) => this.#keepers.get(keeper).isSynced);
  }

  /** Whether the keeper's records were all here once, and no change since is known to be missing. */
  isComplete(keeper: Keeper): boolean {
    const { isSynced, doubtedIn } = this.#keepers.get(keeper);
    return isSynced && doubtedIn === undefined;
  }

  /** A change may be missing: the keeper's records answer no questions until a round that is yet to begin is `synced`. */
  doubt(keeper: Keeper): void {
    const state = this.#keepers.get(keeper);
    state.doubtedIn = state.round;
  }

  /** Takes over what is newer than what is here. Throws what SQLite does, e.g. for a full disk; then nothing is taken. */
  apply(records: readonly Record[]): void {
    this.#transaction(() => records.filter((record) => this.#take(record)));
  }

  /** Where a watch of the keeper goes on, and the number of this round, which {@link applyWatched} wants. */
  beginRound(keeper: Keeper): { position: string; round: number } {
    const state = this.#keepers.get(keeper);
    state.round += 1;
    this.#keepers.save(keeper, state);
    return { position: state.position, round: state.round };
  }

  /** Takes over what a watch tells, with the position after it. Throws what SQLite does; then nothing is taken. */
  applyWatched(
    keeper: Keeper,
    round: number,
    { records, position, reset, synced }: Pick<WatchResponse, 'records' | 'position' | 'reset' | 'synced'>,
  ): void {
    const next = { ...this.#keepers.get(keeper) };
    const isAsBefore = !synced || (next.isSynced && next.doubtedIn === undefined);
    if (!reset && isAsBefore && this.#isEcho(keeper, records)) {
      if (position !== '') next.position = position;
      this.#keepers.use(keeper, next);
      return;
    }
    if (reset) Object.assign(next, { sweptFrom: round, position: '' });
    if (position !== '') next.position = position;
    this.#transaction(
      () => {
        const taken = records.filter((record) => this.#takeWatched(record, next.sweptFrom));
        if (synced) {
          if (next.sweptFrom !== undefined) taken.push(...this.#sweep(keeper, next.sweptFrom));
          Object.assign(next, { isSynced: true, sweptFrom: undefined });
          if (next.doubtedIn !== undefined && round > next.doubtedIn) next.doubtedIn = undefined;
        }
        this.#pruneNowAndThen();
        this.#keepers.save(keeper, next);
        return taken;
      },
      () => {
        this.#keepers.use(keeper, next);
        this.#savedAtMs.set(keeper, performance.now());
      },
    );
  }

  /** Nothing but what is stored already, as what this node changed is told to it again. Its place need not be on disk at once. */
  #isEcho(keeper: Keeper, records: readonly Record[]): boolean {
    if (this.#keepers.get(keeper).sweptFrom !== undefined) return false;
    if (performance.now() - (this.#savedAtMs.get(keeper) ?? 0) > POSITION_GRAIN_MS) return false;
    return records.every((record) => this.#records.isOld(record));
  }

  /**
   * Something of a kind may be made in a namespace, and its maker know before this copy does: until the answer is called,
   * what is not here is `stale` instead of not there.
   */
  expectNew(kind: RecordKind, namespace: string): () => void {
    return this.#expected.add(kind, namespace);
  }

  /** Something of a kind may have changed in a namespace, unheard: until the answer is called, all of that is `stale`. */
  doubtPlace(kind: RecordKind, namespace: string): () => void {
    return this.#doubted.add(kind, namespace);
  }

  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined {
    if (this.#doubted.has(kind, namespace)) return 'stale';
    const record = this.#records.get(kind, namespace, key);
    if (!record) return this.#expected.has(kind, namespace) ? 'stale' : undefined;
    return record.isStale ? 'stale' : record;
  }

  list(
    kind: RecordKind,
    namespace: string,
    prefix = '',
    { from, limit } = WHOLE_LIST,
  ): CopiedRecord[] | 'stale' {
    if (this.#isUncertain(kind, namespace)) return 'stale';
    const records: CopiedRecord[] = [];
    for (const record of this.#records.list(kind, namespace, prefix, from).take(limit)) {
      if (record.isStale) return 'stale';
      records.push(record);
    }
    return records;
  }

  select(
    kind: RecordKind,
    namespace: string,
    filter: Filter,
    from = '',
  ): AsyncIterable<CopiedRecord[]> | 'stale' {
    const isStale = this.#isUncertain(kind, namespace) || this.#records.hasStale(kind, namespace);
    // What is changed from here on need not be in the answer.
    return isStale ? 'stale' : this.lastKnown.select(kind, namespace, filter, from);
  }

  namespaces(): string[] {
    return this.#records.namespaces();
  }

  /** Containers that go when this node agrees. */
  deletingContainers(): DeletingContainer[] {
    return this.#records.deletingContainers();
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
    return this.#expected.has(kind, namespace) || this.#doubted.has(kind, namespace);
  }

  #take(record: Record, sweptFrom?: number): boolean {
    if (!isRecordKind(record.kind)) return false;
    return this.#records.put(record, this.#keepers.get(keeperOf(record.kind)).round, sweptFrom);
  }

  #takeWatched(record: Record, sweptFrom: number | undefined): boolean {
    if (this.#take(record, sweptFrom)) return true;
    if (sweptFrom === undefined || !isRecordKind(record.kind)) return false;
    this.#records.see(record, this.#keepers.get(keeperOf(record.kind)).round);
    return false;
  }

  /** Answers the deletions that nobody has told of. */
  #sweep(keeper: Keeper, sweptFrom: number): Record[] {
    const gone = kindsOf(keeper).flatMap((kind) => this.#records.sweep(kind, sweptFrom));
    return gone.map((name) => create(RecordSchema, { ...name, deleted: true }));
  }

  #pruneNowAndThen(): void {
    const before = Date.now() - TOMBSTONES_KEPT_MS;
    if (before < this.#prunedBefore + TOMBSTONES_KEPT_MS) return;
    this.#records.pruneDeletions(before);
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
      this.#records.forgetRecent();
      throw error;
    }
    onCommit?.();
    for (const record of taken) for (const listener of this.#listeners) listener(record);
  }
}
