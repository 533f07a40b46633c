import type { Logger } from '@longshore/kit';
import { type CatalogueClient, knownGenerations } from './catalogue-call.ts';
import { readMountedLayers } from './mounted-layers.ts';
import type { Snapshotter } from './snapshotter.ts';

/** Tells an operator how many layers want to be looked at. */
export interface Gauge {
  set(count: number): void;
}

export interface ReconcileOptions {
  catalogue: CatalogueClient;
  nodeId: string;
  log: Logger;
  quarantined: Gauge;
}

/**
 * Puts aside the layers that the catalogue does not know, of those that were on disk before this process made any.
 * They are never deleted: a catalogue restored from yesterday's backup does not know today's. One that is mounted
 * stays in its place until it is not.
 */
export class UnknownLayers {
  readonly #snapshotter: Snapshotter;
  #found: readonly string[];

  private constructor(snapshotter: Snapshotter, found: readonly string[]) {
    this.#snapshotter = snapshotter;
    this.#found = found;
  }

  /** Looks at the disk; call it before the first snapshot is made. */
  static async lookAt(snapshotter: Snapshotter): Promise<UnknownLayers> {
    return new UnknownLayers(snapshotter, await snapshotter.directories.list());
  }

  /** Layers that were unknown for long enough. */
  static of(snapshotter: Snapshotter, found: readonly string[]): UnknownLayers {
    return new UnknownLayers(snapshotter, found);
  }

  /** Answers how many are to be looked at again. Throws when the catalogue does not answer; safe to repeat. */
  async quarantine({ catalogue, nodeId, log, quarantined }: ReconcileOptions): Promise<number> {
    const { name, directories } = this.#snapshotter;
    const known = await knownGenerations(catalogue, nodeId, name);
    const isMounted = readMountedLayers();
    const present = new Set(await directories.list());
    const mounted: string[] = [];
    for (const generation of this.#found) {
      if (known.has(generation) || !present.has(generation)) continue;
      if (isMounted(generation)) {
        mounted.push(generation);
        continue;
      }
      await directories.quarantine(generation);
      log.warn({ snapshotter: name, generation }, 'layer on disk has no record');
    }
    this.#found = mounted;
    quarantined.set((await directories.quarantined()).length);
    return mounted.length;
  }
}
