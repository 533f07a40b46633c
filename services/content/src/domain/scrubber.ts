import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import type { StoredBlob } from './blob-fault.ts';
import type { BlobHealth } from './blob-health.ts';
import type { LedTerm } from './led-term.ts';
import type { Pace } from './pace.ts';

/** Blobs that are asked for at a time. */
const BATCH_SIZE = 100;
/** What a blob costs at least: opening it, and recording that it is right. */
const MIN_COST_BYTES = 64 * 1024;
/** A blob that the store did not give is left alone for so long. */
const RETRY_MS = 10 * 60 * 1000;
/** A store that is away is not asked for one blob after the other. */
const AWAY_PAUSE_MS = 5_000;
/** How long at most, and at least, nothing is looked for after there was nothing to do. */
const IDLE_MS = { most: 60_000, least: 50 };

export interface ScrubOptions {
  /** In which every blob is read once. */
  roundMs: number;
  /** After which a quarantined blob is looked at again: it may only have been out of sight. */
  recheckMs: number;
}

export interface DueBlobs {
  /** Those that were not read for longest first, at most `limit`, and none of `except`. */
  due(options: ScrubOptions, except: readonly Digest[], limit: number): Promise<StoredBlob[]>;
}

/**
 * Reads every stored blob now and then, a little at a time: work of one replica. Where it is, the blobs' own records say, so
 * another goes on there.
 */
export class Scrubber {
  readonly #records: DueBlobs;
  readonly #health: BlobHealth;
  readonly #pace: Pace;
  readonly #options: ScrubOptions;
  readonly #log: Logger;

  constructor(records: DueBlobs, health: BlobHealth, pace: Pace, options: ScrubOptions, log: Logger) {
    this.#records = records;
    this.#health = health;
    this.#pace = pace;
    this.#options = options;
    this.#log = log;
  }

  /** Until the term is over. */
  async run(term: LedTerm): Promise<void> {
    const { signal } = term;
    const idleMs = Math.max(IDLE_MS.least, Math.min(IDLE_MS.most, this.#options.roundMs / 10));
    /** Blobs that could not be read, with the time of `performance` from which on they are tried again. */
    const later = new Map<Digest, number>();
    while (!signal.aborted) {
      for (const [digest, at] of later) if (at <= performance.now()) later.delete(digest);
      const blobs = await this.#due([...later.keys()]);
      for (const blob of blobs) {
        if (signal.aborted) return;
        if (await this.#scrub(blob, term)) continue;
        later.set(blob.digest, performance.now() + RETRY_MS);
        await pause(AWAY_PAUSE_MS, signal);
      }
      if (blobs.length === 0) await pause(idleMs, signal);
    }
  }

  async #due(except: readonly Digest[]): Promise<StoredBlob[]> {
    try {
      return await this.#records.due(this.#options, except, BATCH_SIZE);
    } catch (error) {
      this.#log.warn({ err: error }, 'looking for blobs to read failed; will try again');
      return [];
    }
  }

  /** False when nothing could be found out. */
  async #scrub(blob: StoredBlob, term: LedTerm): Promise<boolean> {
    const { signal } = term;
    try {
      if (blob.sizeBytes < MIN_COST_BYTES) await this.#pace.take(MIN_COST_BYTES - blob.sizeBytes, signal);
      const beforeRead = async (lengthBytes: number) => {
        await this.#pace.take(lengthBytes, signal);
        signal.throwIfAborted();
      };
      await this.#health.check(blob, beforeRead, term);
      return true;
    } catch (error) {
      if (!signal.aborted) {
        this.#log.warn(
          { digest: blob.digest, error: messageOf(error) },
          'blob cannot be read to be verified; will try again',
        );
      }
      return false;
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
