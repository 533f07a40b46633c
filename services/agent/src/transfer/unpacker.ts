import { isKind } from '@longshore/errors';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { extractKey, type UnpackStep as Step, snapshotLabels, unpackSteps } from '@longshore/transfer';
import type { BlobSource } from '../content/blob-source.ts';
import type { LayerApplier } from '../diff/apply.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { ChainUnpack } from './chain-unpack.ts';
import { KeyedTurns } from './keyed-turns.ts';
import type { UnpackRequest } from './unpack-request.ts';

export interface UnpackerOptions {
  snapshots: Snapshots;
  applier: LayerApplier;
  blobs: BlobSource;
}

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
   * that is not what the config says. After an error nothing is under way any more; layers that were committed stay.
   */
  async unpack(request: UnpackRequest): Promise<string> {
    const { layers } = request;
    const steps = unpackSteps(layers, request.diffIds);
    const top = steps.at(-1);
    if (!top) return '';
    if (await this.#isUnpacked(request, top)) {
      for (const layer of layers) request.onLayer(layer, 'extracted');
      return top.name;
    }
    await new ChainUnpack({ ...this.#parts, turns: this.#turns }, request).run(steps);
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
      const labels = snapshotLabels(top);
      await snapshots.prepare({ snapshotter, key, parent: top.parent, kind: 'active', labels }, call);
    } catch (error) {
      if (isKind(error, 'AlreadyExists')) return true;
      throw error;
    }
    // It went in between.
    await snapshots.remove({ snapshotter, key }, call);
    return false;
  }
}
