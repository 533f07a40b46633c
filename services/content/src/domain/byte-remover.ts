import type { Logger } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import type { BlobStore, StoredBytes } from './blob-store.ts';

/** Steps of one round, so that a round holds little in memory. */
const BATCH_SIZE = 200;
const ROUND_INTERVAL_MS = 60_000;
/** Bytes without a record that are younger may belong to a commit that is under way. */
const STRAY_AGE_MS = 60 * 60 * 1000;

export interface BuriedBytes {
  readonly digest: Digest | undefined;
  readonly generation: string;
}

/** What the remover needs of the records of bytes. */
export interface ByteRecords<T extends BuriedBytes> {
  releaseUnheld(limit: number): Promise<number>;
  dueTombstones(graceMs: number, limit: number): Promise<T[]>;
  forget(tombstones: readonly T[]): Promise<void>;
  buryUnknown(bytes: readonly StoredBytes[]): Promise<void>;
}

/** Removes bytes from their tombstones. Every step may be repeated, also by several replicas at once. */
export class ByteRemover<T extends BuriedBytes> {
  readonly #records: ByteRecords<T>;
  readonly #store: BlobStore;
  readonly #graceMs: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #isWaiting = false;
  #isClosed = false;

  /** `graceMs`: how long a blob's bytes stay readable after the last scope has let go of it. */
  constructor(records: ByteRecords<T>, store: BlobStore, graceMs: number, log: Logger) {
    this.#records = records;
    this.#store = store;
    this.#graceMs = graceMs;
    this.#log = log;
  }

  /** Takes up what was left by the last process, and goes on by itself until it is closed. */
  start(): void {
    this.#timer = setInterval(() => this.wake(), ROUND_INTERVAL_MS).unref();
    this.#inTurn(() => this.buryStrays());
    this.wake();
  }

  /** Content or an ingest has gone: its bytes may have to follow. */
  wake(): void {
    if (this.#isWaiting || this.#isClosed) return;
    this.#isWaiting = true;
    this.#inTurn(() => {
      this.#isWaiting = false;
      return this.#removeDue();
    });
  }

  /** Buries what a crash has left without a record. Reads the whole store: for once after a start. */
  async buryStrays(): Promise<void> {
    const oldest = Date.now() - STRAY_AGE_MS;
    let batch: StoredBytes[] = [];
    for await (const bytes of this.#store.list()) {
      if (this.#isClosed) return;
      if (bytes.changedAt.getTime() > oldest) continue;
      batch.push(bytes);
      if (batch.length < BATCH_SIZE) continue;
      await this.#records.buryUnknown(batch);
      batch = [];
    }
    if (batch.length > 0) await this.#records.buryUnknown(batch);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  #inTurn(work: () => Promise<void>): void {
    this.#round = this.#round
      .then(work)
      .catch((error) => this.#log.warn({ err: error }, 'removing bytes failed; will try again'));
  }

  async #removeDue(): Promise<void> {
    while (!this.#isClosed && (await this.#records.releaseUnheld(BATCH_SIZE)) > 0);
    while (!this.#isClosed) {
      const tombstones = await this.#records.dueTombstones(this.#graceMs, BATCH_SIZE);
      if (tombstones.length === 0) return;
      for (const { digest, generation } of tombstones) {
        if (digest === undefined) await this.#store.removeIngest(generation);
        else await this.#store.removeBlob({ digest, generation });
      }
      await this.#records.forget(tombstones);
    }
  }
}
