import { isKind } from '@longshore/errors';
import { type CatalogueClient, knownGenerations } from './catalogue-call.ts';
import type { Snapshotter } from './snapshotter.ts';

/** No transaction of the catalogue, with all its waiting for locks, takes as long. */
const SETTLED_AFTER_MS = 120_000;

interface Attempt {
  snapshotter: Snapshotter;
  generation: string;
  /** Monotonic, in milliseconds. */
  failedAt: number;
}

/** Whether a call that failed so has certainly changed nothing. */
export function isRefusal(error: unknown): boolean {
  return isKind(
    error,
    'InvalidArgument',
    'NotFound',
    'AlreadyExists',
    'FailedPrecondition',
    'PermissionDenied',
    'Unauthenticated',
    'Unimplemented',
  );
}

/**
 * Layers that were made for a record of which nobody knows whether it was written: the call failed on its way. Their
 * directories wait here until the catalogue tells; nobody was ever given one of them.
 */
export class UnsettledLayers {
  readonly #attempts = new Set<Attempt>();
  readonly #settledAfterMs: number;

  constructor(settledAfterMs = SETTLED_AFTER_MS) {
    this.#settledAfterMs = settledAfterMs;
  }

  add(snapshotter: Snapshotter, generation: string): void {
    this.#attempts.add({ snapshotter, generation, failedAt: performance.now() });
  }

  /** Removes what has no record, forgets what has one. Throws when the catalogue does not answer. */
  async settle(catalogue: CatalogueClient, nodeId: string): Promise<void> {
    const before = performance.now() - this.#settledAfterMs;
    const due = [...this.#attempts].filter((attempt) => attempt.failedAt <= before);
    for (const snapshotter of new Set(due.map((attempt) => attempt.snapshotter))) {
      const known = await knownGenerations(catalogue, nodeId, snapshotter.name);
      for (const attempt of due.filter((one) => one.snapshotter === snapshotter)) {
        if (!known.has(attempt.generation)) await remove(attempt);
        this.#attempts.delete(attempt);
      }
    }
  }
}

async function remove({ snapshotter: { directories }, generation }: Attempt): Promise<void> {
  directories.discard(generation);
  await directories.purge(generation);
}
