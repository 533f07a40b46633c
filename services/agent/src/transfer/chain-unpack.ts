import { failedPrecondition, isKind } from '@longshore/errors';
import { extractKey, type UnpackStep as Step, snapshotLabels } from '@longshore/transfer';
import type { BlobSource, OpenedBlob } from '../content/blob-source.ts';
import { type LayerApplier, SUSPECT_KINDS } from '../diff/apply.ts';
import type { ByteString } from '../diff/tar/byte-string.ts';
import { Turns } from '../diff/worker/turns.ts';
import type { CatalogueCall } from '../snapshots/catalogue-call.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import type { KeyedTurns } from './keyed-turns.ts';
import type { UnpackRequest } from './unpack-request.ts';

export interface ChainUnpackOptions {
  snapshots: Snapshots;
  applier: LayerApplier;
  blobs: BlobSource;
  /** Of everybody who unpacks on this node: a layer is unpacked once. */
  turns: KeyedTurns;
}

/** Of one image: those that the threads of the applier work on, and the next ones, on their way to this host. */
const LAYERS_AT_ONCE = 4;

const CLEAN_UP_TIMEOUT_MS = 10_000;

/**
 * Unpacks the layers of one image, several at a time, and commits them in their order. Where the snapshotter needs a
 * layer's parent to write it, one waits for the other.
 */
export class ChainUnpack {
  readonly #parts: ChainUnpackOptions;
  readonly #request: UnpackRequest;
  readonly #canRebase: boolean;
  /** Taken in the order of the layers, before all else that one layer may hold and another wait for. */
  readonly #slots = new Turns(LAYERS_AT_ONCE);
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #call: CatalogueCall;

  constructor(parts: ChainUnpackOptions, request: UnpackRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#canRebase = parts.snapshots.canRebase(request.snapshotter);
    this.#signal = AbortSignal.any([request.signal, this.#failed.signal]);
    const { namespace, options } = request.call;
    this.#call = { namespace, options: { ...options, signal: this.#signal } };
  }

  /** Rejects with the first error, once no layer is being worked on any more. */
  async run(steps: readonly Step[]): Promise<void> {
    let below: Promise<void> = Promise.resolve();
    const layers = steps.map((step) => {
      below = this.#inSlot(step, below);
      return below;
    });
    for (const layer of layers) layer.catch((error: unknown) => this.#failed.abort(error));
    await Promise.allSettled(layers);
    this.#signal.throwIfAborted();
  }

  async #inSlot(step: Step, below: Promise<void>): Promise<void> {
    // Another's failure is told by the layer that had it.
    below.catch(() => undefined);
    await this.#slots.next(this.#signal);
    let isOver = false;
    const leave = () => {
      if (!isOver) this.#slots.done();
      isOver = true;
    };
    try {
      const key = [this.#call.namespace, this.#request.snapshotter, step.name].join('\u0000');
      await this.#parts.turns.run(key, this.#signal, () => this.#layer(step, below, leave));
      this.#request.onLayer(step.layer, 'extracted');
    } finally {
      leave();
    }
  }

  /** `onExtracted`: what is left to do needs nothing but the layers below. */
  async #layer(step: Step, below: Promise<void>, onExtracted: () => void): Promise<void> {
    const { snapshotter } = this.#request;
    const { snapshots } = this.#parts;
    const key = extractKey(step.name);
    const labels = snapshotLabels(step);
    const parent = this.#canRebase ? '' : step.parent;
    try {
      const opening = this.#open(step);
      // Closed below, unless the layer turns out to be here.
      opening.catch(() => undefined);
      try {
        if (!this.#canRebase) await below;
        const mounts = await snapshots.prepare(
          { snapshotter, key, parent, kind: 'active', labels },
          this.#call,
        );
        try {
          const target = this.#canRebase
            ? await snapshots.upperMounts({ snapshotter, key }, '', this.#call)
            : mounts;
          const bareParents = await this.#apply(step, await opening, target);
          onExtracted();
          await below;
          if (this.#canRebase) await this.#dress(key, step, bareParents);
          await snapshots.commit(
            { snapshotter, name: step.name, key, parent: step.parent, labels },
            this.#call,
          );
        } catch (error) {
          // Whatever fails here goes with its lease, or is found by the collector.
          await snapshots.remove({ snapshotter, key }, detached(this.#call)).catch(() => undefined);
          throw error;
        }
      } finally {
        await opening.then(
          (opened) => opened.close(),
          () => undefined,
        );
      }
    } catch (error) {
      // Here before, or made by a client of its own at the same time.
      if (!isKind(error, 'AlreadyExists')) throw error;
    }
  }

  async #open({ layer: { digest, size } }: Step): Promise<OpenedBlob> {
    const place = await this.#request.whenStored(digest);
    return this.#parts.blobs.open({ digest, sizeBytes: size, place }, this.#call.options);
  }

  async #apply(
    { layer, diffId }: Step,
    opened: OpenedBlob,
    mounts: Awaited<ReturnType<Snapshots['prepare']>>,
  ): Promise<readonly ByteString[]> {
    const { applier, blobs } = this.#parts;
    try {
      this.#request.onLayer(layer, 'extracting');
      const source = opened.source();
      const applied = await applier.applyLayer({
        source,
        mediaType: layer.mediaType,
        mounts,
        signal: this.#signal,
      });
      if (applied.digest === diffId) return applied.bareParents;
      throw failedPrecondition(
        `layer ${layer.digest}: wrong diff id calculated on extraction ${applied.digest}, expected ${diffId}`,
      );
    } catch (error) {
      if (isKind(error, ...SUSPECT_KINDS)) await blobs.doubt(layer.digest, this.#call.options);
      throw error;
    }
  }

  /** Now that the layers below are there. */
  async #dress(key: string, { parent }: Step, bareParents: readonly ByteString[]): Promise<void> {
    if (parent === '') return;
    const { snapshotter } = this.#request;
    const mounts = await this.#parts.snapshots.upperMounts({ snapshotter, key }, parent, this.#call);
    await this.#parts.applier.dressParents(mounts, bareParents);
  }
}

/** For cleaning up after a caller that has gone. */
function detached({ namespace, options }: CatalogueCall): CatalogueCall {
  const { headers, onTrailers } = options;
  return {
    namespace,
    options: { headers, onTrailers, deadline: new Date(Date.now() + CLEAN_UP_TIMEOUT_MS) },
  };
}
