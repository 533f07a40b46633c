import { isKind } from '@longshore/errors';
import { algorithmOf, Digester } from '@longshore/oci';
import type { StoredBlob } from './blob-fault.ts';
import { type BlobHealth, dataLoss } from './blob-health.ts';
import type { ByteRange } from './byte-range.ts';

/** Blobs that are being read in pieces; who comes back after so many others pays for a reading of the whole. */
const MAX_UNFINISHED = 1_000;
/** Digests that are known to be right. */
const MAX_KNOWN = 10_000;

export interface VerifiedReadsOptions {
  /** The last byte of a blob is given out only once all before it were read and found to be right. */
  isOn: boolean;
  /** How long a blob that was read whole is known to be right, for those who do not read it from its start to its end. */
  windowMs: number;
}

/**
 * Hashes what is read on its way out. A blob is hashed while it is read from its first to its last byte, also in several reads one
 * behind the other, as most clients do; any other read of the end waits until the whole has been read here. Reads of pieces that
 * do not reach the end are not verified: their bytes have no digest of their own.
 */
export class VerifiedReads {
  readonly #health: BlobHealth;
  readonly #options: VerifiedReadsOptions;
  /** By generation and position; the oldest first. */
  readonly #unfinished = new Map<string, Digester>();
  /** When generations were found to be right, by `performance.now()`; the oldest first. */
  readonly #known = new Map<string, number>();

  constructor(health: BlobHealth, options: VerifiedReadsOptions) {
    this.#health = health;
    this.#options = options;
  }

  /**
   * Passes on the bytes of a range. Throws DataLoss in the place of the last ones when the blob is wrong, which is then
   * quarantined.
   */
  async *pass(blob: StoredBlob, { start, end }: ByteRange, chunks: AsyncIterable<Uint8Array>) {
    const isVerified = this.#options.isOn && start < end;
    const digester = isVerified ? this.#take(blob, start) : undefined;
    if (isVerified && !digester && end === blob.sizeBytes) await this.#expectRight(blob);
    let position = start;
    try {
      for await (const chunk of chunks) {
        digester?.update(chunk);
        position += chunk.byteLength;
        if (digester && position === blob.sizeBytes) await this.#finish(blob, digester);
        yield chunk;
      }
    } catch (error) {
      // The store's own: it ended early.
      if (position < end && isKind(error, 'DataLoss'))
        await this.#health.quarantine(blob, `bytes end at ${position}`);
      throw error;
    } finally {
      if (digester && position < blob.sizeBytes)
        remember(this.#unfinished, keyOf(blob, position), digester, MAX_UNFINISHED);
    }
  }

  async #finish(blob: StoredBlob, digester: Digester): Promise<void> {
    const found = digester.digest();
    if (found !== blob.digest) throw await this.#health.failure(blob, `bytes have digest ${found}`);
    this.#learn(blob);
  }

  /** Reads the blob whole, unless it was a short time ago. */
  async #expectRight(blob: StoredBlob): Promise<void> {
    const { generation } = blob;
    const at = this.#known.get(generation);
    if (at !== undefined && performance.now() - at < this.#options.windowMs) return;
    const fault = await this.#health.checkOnce(blob);
    if (fault !== undefined) throw dataLoss(blob.digest, fault);
    this.#learn(blob);
  }

  #learn({ generation }: StoredBlob): void {
    remember(this.#known, generation, performance.now(), MAX_KNOWN);
  }

  /** What has been read up to `position`; undefined when that is not known. */
  #take(blob: StoredBlob, position: number): Digester | undefined {
    if (position === 0) return new Digester(algorithmOf(blob.digest));
    const key = keyOf(blob, position);
    const digester = this.#unfinished.get(key);
    this.#unfinished.delete(key);
    return digester;
  }
}

function keyOf({ digest, generation }: StoredBlob, position: number): string {
  return `${digest}/${generation}/${position}`;
}

function remember<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
