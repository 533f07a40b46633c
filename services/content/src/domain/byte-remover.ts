import { type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import type { BlobStore, StoredBytes } from './blob-store.ts';
import { type LedTerm, untilOver } from './led-term.ts';

/** Steps of one round, so that a round holds little in memory. */
const BATCH_SIZE = 200;
/** Bounds how long bytes wait that another replica let go of. */
const ROUND_INTERVAL_MS = 10_000;
/** Bytes without a record come from crashes, and from writers that lost their ref as they committed. */
const STRAY_INTERVAL_MS = 24 * 60 * 60 * 1000;
/** Bytes without a record that are younger may belong to a commit that is under way. */
const STRAY_AGE_MS = 60 * 60 * 1000;
/** What one scan buries at most: the next one goes on. */
const MAX_STRAYS = 100_000;
/** So few may go even when they are most of a store. */
const MAX_STRAYS_UNASKED = 20;
/** Bytes that the store refuses to remove are left alone for a while: they must not keep all others from going. */
const REFUSED_RETRY: RetryPolicy = { initialDelayMs: 5_000, maxDelayMs: 10 * 60 * 1000, attempts: Infinity };
const MAX_REFUSED = 10_000;
/** After so many in a row it is the store that is away. */
const MAX_REFUSALS = 5;
/** What lies among stored bytes under another name is not ours, e.g. NFS's own for a file that was removed while it is open. */
const GENERATION = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Nobody publishes for so long. */
const UNFINISHED_AGE_MS = 24 * 60 * 60 * 1000;

export interface BuriedBytes {
  readonly digest: Digest | undefined;
  readonly generation: string;
}

interface Found {
  readonly looked: number;
  /** How many no record knows. */
  readonly unknown: number;
  /** As many of those as are buried at once. */
  readonly strays: StoredBytes[];
}

interface Refusal<T> {
  readonly tombstone: T;
  readonly times: number;
  /** They are tried again then, by `performance.now()`. */
  readonly at: number;
}

/** What the remover needs of the records of bytes; writes throw Unavailable when the term is over. */
export interface ByteRecords<T extends BuriedBytes> {
  releaseUnheld(limit: number, term: LedTerm): Promise<number>;
  /** None of `except`. */
  dueTombstones(graceMs: number, limit: number, except: readonly T[]): Promise<T[]>;
  forget(tombstones: readonly T[], term: LedTerm): Promise<void>;
  /** Those that no record knows. */
  unknown(bytes: readonly StoredBytes[]): Promise<StoredBytes[]>;
  /** Buries those that no record knows. */
  buryUnknown(bytes: readonly StoredBytes[], term: LedTerm): Promise<void>;
}

/**
 * Removes bytes from their tombstones: work of one replica, to spare the others. Every step may be repeated, also by several at
 * once: what a tombstone names is never written again.
 */
export class ByteRemover<T extends BuriedBytes> {
  readonly #records: ByteRecords<T>;
  readonly #store: BlobStore;
  readonly #graceMs: number;
  readonly #log: Logger;
  /** By digest and generation. */
  readonly #refused = new Map<string, Refusal<T>>();
  #term: LedTerm | undefined;
  #round: Promise<void> = Promise.resolve();
  #isWaiting = false;

  /** `graceMs`: how long a blob's bytes stay readable after the last scope has let go of it. */
  constructor(records: ByteRecords<T>, store: BlobStore, graceMs: number, log: Logger) {
    this.#records = records;
    this.#store = store;
    this.#graceMs = graceMs;
    this.#log = log;
  }

  /** Takes up what was left by the last leader, and goes on by itself until the term is over. */
  async run(term: LedTerm): Promise<void> {
    this.#term = term;
    const buryStrays = () => this.#inTurn(() => this.buryStrays(term));
    const timers = [
      setInterval(() => this.wake(), ROUND_INTERVAL_MS).unref(),
      setInterval(buryStrays, STRAY_INTERVAL_MS).unref(),
    ];
    buryStrays();
    this.wake();
    await untilOver(term);
    for (const timer of timers) clearInterval(timer);
    await this.#round;
  }

  /** Content or an ingest has gone: its bytes may have to follow. A replica that does not lead leaves that to a later round. */
  wake(): void {
    const term = this.#term;
    if (this.#isWaiting || !term || term.signal.aborted) return;
    this.#isWaiting = true;
    this.#inTurn(() => {
      this.#isWaiting = false;
      return this.#removeDue(term);
    });
  }

  /**
   * Buries what a crash has left without a record. Reads the whole store: for once after a start, and then seldom. Nothing is
   * buried where most bytes are unknown: then it is the records that are gone, or another store's.
   */
  async buryStrays(term: LedTerm): Promise<void> {
    await this.#store.discardUnfinished(new Date(Date.now() - UNFINISHED_AGE_MS));
    const { looked, unknown, strays } = await this.#findStrays(term);
    if (unknown > MAX_STRAYS_UNASKED && unknown > looked / 2) {
      this.#log.error(
        { looked, unknown },
        'most stored bytes have no record: none is removed; is this the database of this store?',
      );
      return;
    }
    for (let at = 0; at < strays.length && !term.signal.aborted; at += BATCH_SIZE) {
      await this.#records.buryUnknown(strays.slice(at, at + BATCH_SIZE), term);
    }
  }

  async #findStrays(term: LedTerm): Promise<Found> {
    const oldest = Date.now() - STRAY_AGE_MS;
    const strays: StoredBytes[] = [];
    let [looked, unknown] = [0, 0];
    let batch: StoredBytes[] = [];
    const look = async () => {
      looked += batch.length;
      const found = await this.#records.unknown(batch);
      unknown += found.length;
      strays.push(...found.slice(0, MAX_STRAYS - strays.length));
      batch = [];
    };
    for await (const bytes of this.#store.list()) {
      if (term.signal.aborted) break;
      if (bytes.changedAt.getTime() > oldest || !GENERATION.test(bytes.generation)) continue;
      batch.push(bytes);
      if (batch.length === BATCH_SIZE) await look();
    }
    await look();
    return { looked, unknown, strays };
  }

  #inTurn(work: () => Promise<void>): void {
    this.#round = this.#round
      .then(work)
      .catch((error) => this.#log.warn({ err: error }, 'removing bytes failed; will try again'));
  }

  async #removeDue(term: LedTerm): Promise<void> {
    while (!term.signal.aborted && (await this.#records.releaseUnheld(BATCH_SIZE, term)) > 0);
    if (this.#refused.size > MAX_REFUSED) this.#refused.clear();
    while (!term.signal.aborted) {
      const now = performance.now();
      const except = [...this.#refused.values()].filter(({ at }) => at > now);
      const tombstones = await this.#records.dueTombstones(
        this.#graceMs,
        BATCH_SIZE,
        except.map(({ tombstone }) => tombstone),
      );
      if (tombstones.length === 0) return;
      await this.#removeAll(tombstones, term);
    }
  }

  /** Throws the store's error when it refuses several in a row. */
  async #removeAll(tombstones: readonly T[], term: LedTerm): Promise<void> {
    const removed: T[] = [];
    let refusals = 0;
    try {
      for (const tombstone of tombstones) {
        const { digest, generation } = tombstone;
        try {
          if (digest === undefined) await this.#store.removeIngest(generation);
          else await this.#store.removeBlob({ digest, generation });
          removed.push(tombstone);
          this.#refused.delete(keyOf(tombstone));
          refusals = 0;
        } catch (error) {
          this.#refuse(tombstone);
          this.#log.warn({ digest, generation, err: error }, 'bytes cannot be removed; will try again later');
          if (++refusals === MAX_REFUSALS) throw error;
        }
      }
    } finally {
      await this.#records.forget(removed, term);
    }
  }

  #refuse(tombstone: T): void {
    const times = (this.#refused.get(keyOf(tombstone))?.times ?? 0) + 1;
    const at = performance.now() + retryDelayMs(REFUSED_RETRY, times);
    this.#refused.set(keyOf(tombstone), { tombstone, times, at });
  }
}

function keyOf({ digest, generation }: BuriedBytes): string {
  return `${digest}/${generation}`;
}
