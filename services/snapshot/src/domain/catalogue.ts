import { isKind } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import {
  type Commit,
  type Committed,
  type MountableSnapshot,
  type NewSnapshot,
  type Snapshot,
  targetExists,
  targetOf,
  updateLabels,
  validateCommit,
  validateNewSnapshot,
} from './snapshot.ts';

/** What keeps snapshots from the collector on behalf of one caller. */
export interface Lease {
  /** Resolves once the name is kept, whether it exists or not. Throws NotFound when the lease does not exist. */
  keep(name: string): Promise<void>;
  /** Never throws: a name that stays kept does no harm. */
  release(name: string): Promise<void>;
}

/** Where the records are. Each change is one transaction, which also writes the change's event. */
export interface SnapshotRecords {
  exists(scope: Scope, snapshotter: string, name: string): Promise<boolean>;
  /** Throws what `checkNewSnapshot` does. */
  prepare(scope: Scope, request: NewSnapshot): Promise<MountableSnapshot>;
  /** Throws what `checkCommit` does. The record keeps its uid and generation. */
  commit(scope: Scope, request: Commit): Promise<Committed>;
  /** Writes what `change` makes of the labels, under the record's lock. Throws NotFound. */
  updateLabels(
    scope: Scope,
    snapshotter: string,
    name: string,
    change: (stored: Snapshot) => Labels,
  ): Promise<MountableSnapshot>;
  /**
   * Leaves a tombstone. Throws NotFound, and FailedPrecondition while there are children. The snapshot returned
   * carries the revision of its deletion.
   */
  remove(scope: Scope, snapshotter: string, name: string): Promise<Snapshot>;
}

/**
 * The changes of snapshots' records. A lease keeps a name before the record is written or found, so that no
 * collection comes between. Source: containerd core/metadata/snapshot.go.
 */
export class Catalogue {
  readonly #records: SnapshotRecords;

  constructor(records: SnapshotRecords) {
    this.#records = records;
  }

  async prepare(scope: Scope, requested: NewSnapshot, lease: Lease | undefined): Promise<MountableSnapshot> {
    const request = validateNewSnapshot(requested);
    const record = () => this.#records.prepare(scope, request);
    if (!lease) return record();
    const target = targetOf(request);
    if (target && (await this.#keepExisting(scope, request.snapshotter, target, lease)))
      throw targetExists(target);
    await lease.keep(request.key);
    try {
      return await record();
    } catch (error) {
      // The target may have been committed meanwhile.
      if (target && isKind(error, 'AlreadyExists'))
        await this.#keepExisting(scope, request.snapshotter, target, lease);
      throw error;
    }
  }

  async commit(scope: Scope, requested: Commit, lease: Lease | undefined): Promise<Committed> {
    const request = validateCommit(requested);
    await lease?.keep(request.name);
    const committed = await this.#records.commit(scope, request);
    await lease?.release(request.key);
    return committed;
  }

  async remove(scope: Scope, snapshotter: string, name: string, lease: Lease | undefined): Promise<Snapshot> {
    const removed = await this.#records.remove(scope, snapshotter, name);
    await lease?.release(name);
    return removed;
  }

  update(
    scope: Scope,
    snapshotter: string,
    name: string,
    labels: Labels,
    mask: readonly string[],
  ): Promise<MountableSnapshot> {
    return this.#records.updateLabels(scope, snapshotter, name, (stored) =>
      updateLabels(stored, labels, mask),
    );
  }

  /** Keeps a snapshot if it is there; true only if it was still there once it was kept. */
  async #keepExisting(scope: Scope, snapshotter: string, name: string, lease: Lease): Promise<boolean> {
    if (!(await this.#records.exists(scope, snapshotter, name))) return false;
    await lease.keep(name);
    return this.#records.exists(scope, snapshotter, name);
  }
}
