import { failedPrecondition, isKind } from '@longshore/errors';
import type { Descriptor, Digest } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import { extractKey, snapshotLabels, type UnpackStep, unpackSteps } from '@longshore/transfer';
import { Differ } from '../diff/differ.ts';
import type { Services } from '../services.ts';
import { Snapshotter } from '../snapshots/snapshotter.ts';

export interface UnpackLayers {
  /** Lowest first. */
  layers: readonly Descriptor[];
  diffIds: readonly Digest[];
  /** With the lease that keeps the snapshots until something refers to them. */
  options: CallOptions;
  signal: AbortSignal;
  /** Resolves once the layer can be read. */
  whenStored(digest: Digest): Promise<unknown>;
  onLayer(layer: Descriptor, state: 'unpacking' | 'unpacked'): void;
}

/** A snapshot that is there by its name may be collected before it is leased; then it is made after all. */
const PREPARE_ATTEMPTS = 3;
const CLEAN_UP_TIMEOUT_MS = 10_000;

/**
 * Has a server make snapshots of layers, committed under their chain ids, as containerd's clients do. Several at the same layer do
 * not harm each other. Source: containerd core/unpack/unpacker.go.
 */
export class Unpacker {
  readonly #snapshots: Snapshotter;
  readonly #differ: Differ;

  constructor(services: Services, snapshotter: string) {
    this.#snapshots = new Snapshotter(services, snapshotter);
    this.#differ = new Differ(services);
  }

  /**
   * Answers the name of the topmost snapshot; empty for an image without layers. Throws FailedPrecondition for a layer that is not what
   * the config says. After an error the layers below the one that failed stay, as long as the lease does.
   */
  async unpack(request: UnpackLayers): Promise<string> {
    const { layers, diffIds, onLayer } = request;
    const steps = unpackSteps(layers, diffIds);
    const top = steps.at(-1);
    if (!top) return '';
    if (await this.#isUnpacked(request, top)) for (const layer of layers) onLayer(layer, 'unpacked');
    else for (const step of steps) await this.#layer(request, step);
    return top.name;
  }

  /** The topmost, which the lease keeps from then on, keeps all below it. */
  async #isUnpacked(request: UnpackLayers, top: UnpackStep): Promise<boolean> {
    const { options, signal } = request;
    if (!(await this.#exists(top.name, { ...options, signal }))) return false;
    const begun = await this.#begin(request, top);
    // It was collected in between.
    if (begun) await this.#remove(begun.key, options);
    return begun === undefined;
  }

  async #layer(request: UnpackLayers, step: UnpackStep): Promise<void> {
    const { options, signal, onLayer, whenStored } = request;
    await whenStored(step.layer.digest);
    signal.throwIfAborted();
    const begun = await this.#begin(request, step);
    if (begun) {
      try {
        onLayer(step.layer, 'unpacking');
        await this.#apply(step, begun.mounts, { ...options, signal });
        await this.#commit(step, begun.key, { ...options, signal });
      } catch (error) {
        await this.#remove(begun.key, options);
        throw error;
      }
    }
    onLayer(step.layer, 'unpacked');
  }

  /** Undefined when the snapshot is there, which the lease keeps from then on. */
  async #begin({ options, signal }: UnpackLayers, step: UnpackStep) {
    for (let attempt = 1; ; attempt++) {
      const key = extractKey(step.name);
      const call = { ...options, signal };
      try {
        const snapshot = { key, parent: step.parent, labels: snapshotLabels(step) };
        return { key, mounts: await this.#snapshots.prepare(snapshot, call) };
      } catch (error) {
        if (!isKind(error, 'AlreadyExists')) {
          // It may have been made all the same, when the answer was lost or not waited for.
          if (signal.aborted) await this.#remove(key, options);
          throw error;
        }
        if (await this.#exists(step.name, call)) return undefined;
        if (attempt === PREPARE_ATTEMPTS) throw error;
      }
    }
  }

  async #apply({ layer, diffId }: UnpackStep, mounts: Mounts, options: CallOptions): Promise<void> {
    const { digest } = await this.#differ.apply(layer, mounts, options);
    if (digest === diffId) return;
    throw failedPrecondition(
      `layer ${layer.digest}: wrong diff id calculated on extraction ${digest}, expected ${diffId}`,
    );
  }

  async #commit(step: UnpackStep, key: string, options: CallOptions): Promise<void> {
    try {
      await this.#snapshots.commit(step.name, key, snapshotLabels(step), options);
    } catch (error) {
      if (!isKind(error, 'AlreadyExists')) throw error;
      // Another was faster with the same layer.
      await this.#remove(key, options);
    }
  }

  async #exists(name: string, options: CallOptions): Promise<boolean> {
    try {
      return (await this.#snapshots.stat(name, options)).kind === 'committed';
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
  }

  /** Also for callers who have gone. What stays goes with the lease. */
  async #remove(key: string, { headers }: CallOptions): Promise<void> {
    const deadline = new Date(Date.now() + CLEAN_UP_TIMEOUT_MS);
    await this.#snapshots.remove(key, { headers, deadline }).catch(() => undefined);
  }
}

type Mounts = Awaited<ReturnType<Snapshotter['prepare']>>;
