import { failedPrecondition, isKind } from '@longshore/errors';
import type { Descriptor, Digest } from '@longshore/oci';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import {
  extractKey,
  type UnpackStep as Step,
  snapshotLabels,
  unpackSteps,
  type WhenStored,
} from '@longshore/transfer';
import type { BlobSource } from '../content/blob-source.ts';
import { type LayerApplier, SUSPECT_KINDS } from '../diff/apply.ts';
import type { CatalogueCall } from '../snapshots/catalogue-call.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { KeyedTurns } from './keyed-turns.ts';
import { LayersAhead } from './layers-ahead.ts';

export interface UnpackerOptions {
  snapshots: Snapshots;
  applier: LayerApplier;
  blobs: BlobSource;
}

export type LayerStatus = 'extracting' | 'extracted';

export interface UnpackRequest {
  /** Lowest first. */
  layers: readonly Descriptor[];
  diffIds: readonly Digest[];
  snapshotter: string;
  /** Carries the lease that keeps the snapshots until the image is recorded. */
  call: CatalogueCall;
  whenStored: WhenStored;
  signal: AbortSignal;
  onLayer(layer: Descriptor, status: LayerStatus): void;
}

const CLEAN_UP_TIMEOUT_MS = 10_000;

/**
 * Makes snapshots of the layers of images, as containerd does: committed under their chain ids, each layer once,
 * whoever asks for it at the same time. Source: containerd core/unpack/unpacker.go.
 */
export class Unpacker {
  readonly #parts: UnpackerOptions;
  readonly #turns = new KeyedTurns();

  constructor(parts: UnpackerOptions) {
    this.#parts = parts;
  }

  /** Throws InvalidArgument for an unknown snapshotter. */
  check(snapshotter: string): void {
    this.#parts.snapshots.snapshotter(snapshotter);
  }

  /**
   * Answers the name of the topmost snapshot; empty for an image without layers. Throws FailedPrecondition for a layer
   * that is not what the config says. After an error the layers below the one that failed stay.
   */
  async unpack(request: UnpackRequest): Promise<string> {
    const { layers, call, whenStored, signal } = request;
    const steps = unpackSteps(layers, request.diffIds);
    const top = steps.at(-1);
    if (!top) return '';
    if (await this.#isUnpacked(request, top)) {
      for (const layer of layers) request.onLayer(layer, 'extracted');
      return top.name;
    }
    await using ahead = new LayersAhead(layers, whenStored, this.#parts.blobs, call.options, signal);
    for (const step of steps) {
      const key = [call.namespace, request.snapshotter, step.name].join('\u0000');
      await this.#turns.run(key, signal, () => this.#layer(request, step, ahead));
      request.onLayer(step.layer, 'extracted');
    }
    return top.name;
  }

  /** Also gives the snapshot to the lease, without which it might be collected before anything refers to it. */
  async #isUnpacked({ snapshotter, call }: UnpackRequest, top: Step): Promise<boolean> {
    const { snapshots } = this.#parts;
    try {
      const { kind } = await snapshots.find({ snapshotter, key: top.name }, call);
      if (kind !== Kind.COMMITTED) return false;
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
    const key = extractKey(top.name);
    try {
      await snapshots.prepare(prepareRequest(snapshotter, key, top), call);
    } catch (error) {
      if (isKind(error, 'AlreadyExists')) return true;
      throw error;
    }
    // It went in between.
    await snapshots.remove({ snapshotter, key }, call);
    return false;
  }

  async #layer(request: UnpackRequest, step: Step, ahead: LayersAhead): Promise<void> {
    const { snapshotter, call } = request;
    const { snapshots } = this.#parts;
    const key = extractKey(step.name);
    const labels = snapshotLabels(step);
    try {
      const mounts = await snapshots.prepare(prepareRequest(snapshotter, key, step), call);
      try {
        await this.#apply(request, step, ahead, mounts);
        await snapshots.commit({ snapshotter, name: step.name, key, parent: '', labels }, call);
      } catch (error) {
        // Whatever fails here goes with its lease, or is found by the collector.
        await snapshots.remove({ snapshotter, key }, detached(call)).catch(() => undefined);
        throw error;
      }
    } catch (error) {
      // Here before, or made by a client of its own at the same time.
      if (!isKind(error, 'AlreadyExists')) throw error;
    }
  }

  async #apply(
    { onLayer, signal, call }: UnpackRequest,
    { n, layer, diffId }: Step,
    ahead: LayersAhead,
    mounts: Awaited<ReturnType<Snapshots['prepare']>>,
  ): Promise<void> {
    const opened = await ahead.take(n);
    try {
      onLayer(layer, 'extracting');
      const { mediaType } = layer;
      const applied = await this.#parts.applier.applyLayer({
        source: opened.source(),
        mediaType,
        mounts,
        signal,
      });
      if (applied.digest === diffId) return;
      throw failedPrecondition(
        `layer ${layer.digest}: wrong diff id calculated on extraction ${applied.digest}, expected ${diffId}`,
      );
    } catch (error) {
      if (isKind(error, ...SUSPECT_KINDS)) await this.#parts.blobs.doubt(layer.digest, call.options);
      throw error;
    } finally {
      opened.close();
    }
  }
}

function prepareRequest(snapshotter: string, key: string, step: Step) {
  return { snapshotter, key, parent: step.parent, kind: 'active', labels: snapshotLabels(step) } as const;
}

/** For cleaning up after a caller that has gone. */
function detached({ namespace, options }: CatalogueCall): CatalogueCall {
  const { headers, onTrailers } = options;
  return {
    namespace,
    options: { headers, onTrailers, deadline: new Date(Date.now() + CLEAN_UP_TIMEOUT_MS) },
  };
}
