import type { Descriptor } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import type { WhenStored } from '@longshore/transfer';
import type { BlobSource, OpenedBlob } from '../content/blob-source.ts';

/** While one layer is unpacked, the next two are on their way to this host. */
const AHEAD = 2;

/** Opens the layers of an image in their order, some before they are asked for. */
export class LayersAhead implements AsyncDisposable {
  readonly #layers: readonly Descriptor[];
  readonly #open: (layer: Descriptor) => Promise<OpenedBlob>;
  readonly #opening = new Map<number, Promise<OpenedBlob>>();
  readonly #leave = new AbortController();

  constructor(
    layers: readonly Descriptor[],
    whenStored: WhenStored,
    blobs: BlobSource,
    options: CallOptions,
    signal: AbortSignal,
  ) {
    this.#layers = layers;
    const until = AbortSignal.any([signal, this.#leave.signal]);
    this.#open = async ({ digest, size }) => {
      const place = await whenStored(digest);
      return blobs.open({ digest, sizeBytes: size, place }, { ...options, signal: until });
    };
  }

  /** The layer; whoever takes it closes it. To be asked with growing numbers. */
  async take(n: number): Promise<OpenedBlob> {
    const wanted = this.#begin(n);
    this.#opening.delete(n);
    for (let next = n + 1; next <= Math.min(n + AHEAD, this.#layers.length - 1); next++) this.#begin(next);
    return wanted;
  }

  /** Gives up what was opened and not taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    const opened = await Promise.allSettled(this.#opening.values());
    for (const result of opened) if (result.status === 'fulfilled') result.value.close();
  }

  #begin(n: number): Promise<OpenedBlob> {
    const known = this.#opening.get(n);
    if (known) return known;
    const opening = this.#open(this.#layers[n]!);
    // Whoever takes it sees the error; one that nobody takes is of no interest.
    opening.catch(() => undefined);
    this.#opening.set(n, opening);
    return opening;
  }
}
