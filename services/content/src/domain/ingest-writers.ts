import { isKind, retryDelayMs } from '@longshore/errors';
import type { Logger, Scope } from '@longshore/kit';
import { algorithmOf } from '@longshore/oci';
import type { BlobStore } from './blob-store.ts';
import type { Ingest, OpenRequest } from './ingest.ts';
import { type Committer, type IngestRecords, IngestWriter } from './ingest-writer.ts';

/** How often progress is made durable and recorded: what a crash may cost, and how fine a progress bar is. */
const CHECKPOINT_INTERVAL_MS = 1000;
/** How long a checkpoint waits for a store that does not answer. */
const FLUSH_PATIENCE_MS = 2000;
/** A caller that comes back at once may meet its own last writer, still closing. */
const OPEN_RETRY = { initialDelayMs: 5, maxDelayMs: 250, attempts: 9 };

/** How long a writer keeps its lock without a checkpoint. */
export const WRITER_TIMEOUT_MS = 10_000;

export interface WriterRecords extends IngestRecords {
  /** `undefined` when the scope holds the expected blob. Throws Unavailable while the ref has a writer. */
  open(scope: Scope, request: OpenRequest): Promise<Ingest | undefined>;
}

interface HeldLock {
  ingest: Ingest;
  durableBytes: number;
  /** By then it has run out, by `performance.now()`. */
  endsAt: number;
}

/** The writers that this process has open. */
export class IngestWriters {
  readonly #store: BlobStore;
  readonly #records: WriterRecords;
  readonly #writerRecords: IngestRecords;
  readonly #commit: Committer;
  readonly #log: Logger;
  readonly #open = new Set<IngestWriter>();
  /** Locks that could not be given back, by the ingests' uids. */
  readonly #held = new Map<string, HeldLock>();
  #timer: NodeJS.Timeout | undefined;
  #checkpointing: Promise<void> | undefined;

  constructor(store: BlobStore, records: WriterRecords, commit: Committer, log: Logger) {
    this.#store = store;
    this.#records = records;
    this.#commit = commit;
    this.#log = log;
    this.#writerRecords = {
      reset: (ingest) => records.reset(ingest),
      checkpoint: (progress) => records.checkpoint(progress),
      release: (ingest, durableBytes) => this.#release(ingest, durableBytes),
    };
  }

  /**
   * `undefined` when the scope holds the expected blob already, which is then on the caller's lease. Throws
   * Unavailable when another writer keeps the ref for about a second, NotFound for an unknown lease.
   */
  async open(scope: Scope, request: OpenRequest, signal: AbortSignal): Promise<IngestWriter | undefined> {
    const ingest = await this.#openRecord(scope, request, signal);
    if (!ingest) return undefined;
    // What an earlier writer has left is read again, which takes a while for many gigabytes.
    const renewal = setInterval(() => this.#renew(ingest), WRITER_TIMEOUT_MS / 4).unref();
    try {
      const algorithm = request.expected ? algorithmOf(request.expected) : 'sha256';
      const writer = await IngestWriter.open(
        ingest,
        algorithm,
        this.#store,
        this.#writerRecords,
        this.#commit,
      );
      this.#open.add(writer);
      this.#startTicking();
      return writer;
    } catch (error) {
      await this.#release(ingest, ingest.durableBytes).catch(() => undefined);
      throw error;
    } finally {
      clearInterval(renewal);
    }
  }

  /** Closes what is still open; the refs can be resumed. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#checkpointing;
    await Promise.allSettled([...this.#open].map((writer) => writer.close()));
  }

  async #openRecord(scope: Scope, request: OpenRequest, signal: AbortSignal): Promise<Ingest | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#records.open(scope, request);
      } catch (error) {
        if (!isKind(error, 'Unavailable') || attempt === OPEN_RETRY.attempts || signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryDelayMs(OPEN_RETRY, attempt)));
      }
    }
  }

  /** Keeps the lock. A failure shows when the writer is used. */
  #renew({ uid, epoch, durableBytes }: Ingest): void {
    this.#records.checkpoint([{ uid, epoch, durableBytes }]).catch(() => undefined);
  }

  /** While the database is away the lock cannot be given back: as soon as it is there again, the ref can be resumed. */
  async #release(ingest: Ingest, durableBytes: number): Promise<void> {
    try {
      await this.#records.release(ingest, durableBytes);
    } catch (error) {
      const endsAt = performance.now() + WRITER_TIMEOUT_MS;
      this.#held.set(ingest.uid, { ingest, durableBytes, endsAt });
      this.#startTicking();
      throw error;
    }
  }

  async #releaseHeld(): Promise<void> {
    for (const [uid, { ingest, durableBytes, endsAt }] of this.#held) {
      const isGiven = await this.#records.release(ingest, durableBytes).then(
        () => true,
        () => false,
      );
      if (isGiven || performance.now() > endsAt) this.#held.delete(uid);
    }
  }

  #startTicking(): void {
    this.#timer ??= setInterval(() => this.#tick(), CHECKPOINT_INTERVAL_MS).unref();
  }

  #tick(): void {
    this.#checkpointing ??= this.#checkpoint().finally(() => {
      this.#checkpointing = undefined;
    });
  }

  async #checkpoint(): Promise<void> {
    for (const writer of this.#open) if (writer.isDone) this.#open.delete(writer);
    await this.#releaseHeld();
    if (this.#open.size === 0) {
      if (this.#held.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const writers = [...this.#open];
    // A failed flush fails the write or the commit as well, which can tell its caller. One that takes long must not cost the
    // others their locks.
    const flushed = Promise.allSettled(writers.map((writer) => writer.flush()));
    const patience = new Promise((resolve) => setTimeout(resolve, FLUSH_PATIENCE_MS).unref());
    await Promise.race([flushed, patience]);
    try {
      const current = await this.#records.checkpoint(writers.map(({ progress }) => progress));
      for (const writer of writers) {
        if (!current.has(writer.ingest.uid)) writer.lose();
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'checkpoint of writers failed; will try again');
    }
  }
}
