import type { Logger } from '@longshore/kit';
import { type CatalogueClient, knownGenerations, ownCall } from './catalogue-call.ts';
import type { Housekeeping } from './housekeeping.ts';
import type { Snapshotter } from './snapshotter.ts';
import type { WaitingLayer } from './tombstone-reaper.ts';
import { type Gauge, UnknownLayers } from './unknown-layers.ts';

export interface ReconciliationOptions {
  catalogue: CatalogueClient;
  housekeeping: Housekeeping;
  nodeId: string;
  snapshotters: readonly Snapshotter[];
  quarantined: Gauge;
  missing: Gauge;
  log: Logger;
  /** For how long a layer may be unknown before it is put aside: its record may be under way. In milliseconds. */
  settledAfterMs?: number;
}

export interface LayerId {
  snapshotter: string;
  generation: string;
}

export interface Differences {
  waiting: readonly WaitingLayer[];
  /** Not put aside yet. */
  unknown: readonly LayerId[];
  quarantined: readonly LayerId[];
  /** With a record and without a directory. */
  missing: readonly LayerId[];
}

/** No call that makes a layer takes as long. */
const SETTLED_AFTER_MS = 120_000;

/** Compares this node's disk with the catalogue, whole, when it is asked to. */
export class Reconciliation {
  readonly #options: ReconciliationOptions;
  /** When a layer was first seen that nobody knew; monotonic, in milliseconds. */
  readonly #firstSeen = new Map<string, number>();

  constructor(options: ReconciliationOptions) {
    this.#options = options;
  }

  /** Does what is to be done, and answers what is left. Throws when the catalogue does not answer; safe to repeat. */
  async run(): Promise<Differences> {
    const { housekeeping, snapshotters, missing } = this.#options;
    await housekeeping.run();
    const found = [];
    for (const snapshotter of snapshotters) found.push(await this.#compare(snapshotter));
    const differences = {
      waiting: housekeeping.waiting,
      unknown: found.flatMap(({ unknown }) => unknown),
      quarantined: found.flatMap(({ quarantined }) => quarantined),
      missing: found.flatMap(({ lost }) => lost),
    };
    missing.set(differences.missing.length);
    for (const layer of differences.missing)
      this.#options.log.warn(layer, 'layer of a record is not on disk');
    return differences;
  }

  async #compare(snapshotter: Snapshotter) {
    const { catalogue, nodeId } = this.#options;
    const { name, directories } = snapshotter;
    const known = await knownGenerations(catalogue, nodeId, name);
    const present = new Set(await directories.list());
    const { tombstones } = await catalogue.listTombstones({}, ownCall(nodeId));
    const removed = new Set(tombstones.map(({ generation }) => generation));
    // Asked again: records come and go meanwhile.
    const knownStill = await knownGenerations(catalogue, nodeId, name);
    const lost = [...known].filter(
      (generation) => knownStill.has(generation) && !removed.has(generation) && !present.has(generation),
    );
    const unknown = [...present].filter(
      (generation) => !known.has(generation) && !knownStill.has(generation),
    );
    const waiting = await this.#putAside(snapshotter, unknown);
    const id = (generation: string): LayerId => ({ snapshotter: name, generation });
    return {
      unknown: waiting.map(id),
      quarantined: (await directories.quarantined()).map(id),
      lost: lost.map(id),
    };
  }

  /** Those that were unknown for long enough; answers the others. */
  async #putAside(snapshotter: Snapshotter, unknown: readonly string[]): Promise<string[]> {
    const { settledAfterMs = SETTLED_AFTER_MS } = this.#options;
    const now = performance.now();
    for (const generation of unknown) {
      if (!this.#firstSeen.has(generation)) this.#firstSeen.set(generation, now);
    }
    const isSettled = (generation: string) =>
      now - (this.#firstSeen.get(generation) ?? now) >= settledAfterMs;
    const settled = unknown.filter(isSettled);
    const layers = UnknownLayers.of(snapshotter, settled);
    await layers.quarantine(this.#options);
    for (const generation of settled) this.#firstSeen.delete(generation);
    const present = new Set(await snapshotter.directories.list());
    return unknown.filter((generation) => present.has(generation));
  }
}
