import {
  alreadyExists,
  failedPrecondition,
  invalidArgument,
  isKind,
  LongshoreError,
  messageOf,
  unimplemented,
} from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Mount } from '@longshore/linux';
import type { Labels } from '@longshore/oci';
import { Kind, type Snapshot } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { orLastKnown } from '../records/or-last-known.ts';
import type { CatalogueCall, CatalogueClient } from './catalogue-call.ts';
import { newGeneration } from './layer-directories.ts';
import { readMountedLayers } from './mounted-layers.ts';
import { snapshotRef } from './snapshot-labels.ts';
import type { SnapshotRecords } from './snapshot-records.ts';
import type { Layer, Made, NewLayer, Snapshotter, Usage } from './snapshotter.ts';
import { isRefusal, type UnsettledLayers } from './unsettled-layers.ts';

export interface PrepareRequest {
  snapshotter: string;
  key: string;
  /** Empty for none. */
  parent: string;
  kind: 'active' | 'view';
  labels: Labels;
}

export interface CommitRequest {
  snapshotter: string;
  name: string;
  key: string;
  /** Gives a parent to a snapshot that has none. */
  parent: string;
  labels: Labels;
}

/** Names one snapshot of the caller's namespace. */
export interface SnapshotKey {
  snapshotter: string;
  key: string;
}

export interface SnapshotsOptions {
  catalogue: CatalogueClient;
  /** Spare asking the catalogue. */
  records: SnapshotRecords;
  snapshotters: readonly Snapshotter[];
  /** Takes over the layers of which nobody knows whether they were recorded. */
  unsettled: UnsettledLayers;
  /** Whether a layer is on disk before it is committed; default true. */
  syncsLayers?: boolean;
  log: Logger;
}

const NOTHING: Usage = { sizeBytes: 0n, inodes: 0n };

type Parent = Pick<PrepareRequest, 'snapshotter' | 'parent'>;

/**
 * Snapshots of this node: records in the catalogue, directories here. A directory is there before its record, and goes
 * after it, so that a record always has its directory.
 */
export class Snapshots {
  readonly #unsettled: UnsettledLayers;
  readonly #catalogue: CatalogueClient;
  readonly #records: SnapshotRecords;
  readonly #snapshotters: ReadonlyMap<string, Snapshotter>;
  readonly #syncsLayers: boolean;
  readonly #log: Logger;

  constructor({ catalogue, records, snapshotters, unsettled, syncsLayers = true, log }: SnapshotsOptions) {
    this.#syncsLayers = syncsLayers;
    this.#catalogue = catalogue;
    this.#records = records;
    this.#unsettled = unsettled;
    this.#snapshotters = new Map(snapshotters.map((snapshotter) => [snapshotter.name, snapshotter]));
    this.#log = log;
  }

  /** Throws InvalidArgument in containerd's words. */
  snapshotter(name: string): Snapshotter {
    if (name === '') throw invalidArgument('snapshotter argument missing');
    const snapshotter = this.#snapshotters.get(name);
    if (!snapshotter) throw invalidArgument(`snapshotter not loaded: ${name}`);
    return snapshotter;
  }

  /** Makes a snapshot and answers how to mount it. Throws what the catalogue does; then nothing is left. */
  async prepare(request: PrepareRequest, call: CatalogueCall): Promise<readonly Mount[]> {
    this.snapshotter(request.snapshotter);
    const known = this.#knownAncestors(request, call);
    if (known) {
      try {
        return await this.#prepareOn(known, request, call);
      } catch (error) {
        if (!(error instanceof WrongAncestors)) throw error;
      }
    }
    return this.#prepareOn(await this.#ancestorsOn(request, call), request, call);
  }

  /** A snapshot's record with its ancestors, as it was last known when the catalogue cannot say. Throws NotFound. */
  async find({ snapshotter, key }: SnapshotKey, call: CatalogueCall): Promise<Snapshot> {
    return orLastKnown(
      () => this.#current({ snapshotter, key }, call),
      () => this.#records.lastKnown.get(call.namespace, snapshotter, key),
    );
  }

  /** Throws NotFound, and FailedPrecondition for a committed snapshot. */
  async mounts(key: SnapshotKey, call: CatalogueCall): Promise<readonly Mount[]> {
    this.snapshotter(key.snapshotter);
    return this.mountsOf(await this.find(key, call));
  }

  /** How to mount a snapshot with this record. Throws FailedPrecondition for a committed one. */
  mountsOf(snapshot: Snapshot): readonly Mount[] | Promise<readonly Mount[]> {
    const { snapshotter, name, kind, generation, ancestorGenerations, labels } = snapshot;
    const layerKind = layerKinds.get(kind);
    if (!layerKind) {
      throw failedPrecondition(`failed to get active mount: requested snapshot ${name} not active or view`);
    }
    const layer = { generation, kind: layerKind, ancestors: ancestorGenerations, labels };
    return this.snapshotter(snapshotter).mounts(layer);
  }

  /** Whether layers can be written before their parents are there, which are told at their commit. */
  canRebase(snapshotter: string): boolean {
    return this.snapshotter(snapshotter).upperMounts !== undefined;
  }

  /** How to write a snapshot that is to be committed onto `parent`; empty while that is not there. See {@link canRebase}. */
  async upperMounts(key: SnapshotKey, parent: string, call: CatalogueCall): Promise<Mount[]> {
    const driver = this.snapshotter(key.snapshotter);
    const { generation, labels } = await this.#current(key, call);
    const ancestors = await this.#ancestors({ ...key, parent }, call);
    const mounts = driver.upperMounts?.({ generation, kind: 'active', ancestors, labels });
    if (!mounts) throw unimplemented(`snapshotter ${key.snapshotter}: parents that come with the commit`);
    return mounts;
  }

  /** Measures an active snapshot and makes it a committed one. Its mounts must not be written to any more. */
  async commit(request: CommitRequest, call: CatalogueCall): Promise<void> {
    const driver = this.snapshotter(request.snapshotter);
    const active = await this.#current(request, call);
    const newParent = await this.#newParentOf(request, active, call);
    const { sizeBytes, inodes } = await this.#usageOf(driver, active.generation, call);
    // What the catalogue will refuse stays as it is.
    if (active.kind === Kind.ACTIVE) {
      const { name, labels } = request;
      const commit = { generation: active.generation, namespace: call.namespace, name, labels, newParent };
      await driver.commit?.(commit, call.options.signal);
    }
    // A record says that the layer is whole, also after a power cut.
    if (this.#syncsLayers) await driver.sync?.();
    await this.#catalogue.commit({ ...request, size: sizeBytes, inodes }, call.options);
  }

  /** Changes labels by a mask of `labels` and `labels.<key>`; an empty one replaces them all. Throws NotFound. */
  async update(
    { snapshotter, key }: SnapshotKey,
    labels: Labels,
    mask: readonly string[],
    call: CatalogueCall,
  ): Promise<Snapshot> {
    const driver = this.snapshotter(snapshotter);
    const updateMask = { paths: [...mask] };
    const request = { snapshotter, key, labels, ...(mask.length > 0 && { updateMask }) };
    const updated = recordOf(await this.#catalogue.update(request, call.options));
    await driver.relabel?.(updated.generation, labels, mask);
    return updated;
  }

  /** Generation of the parent that a commit gives to a snapshot without one. Throws Unimplemented where that cannot be. */
  async #newParentOf(
    { snapshotter, parent }: CommitRequest,
    active: Snapshot,
    call: CatalogueCall,
  ): Promise<string | undefined> {
    if (parent === '' || active.parent !== '') return undefined;
    if (!this.snapshotter(snapshotter).capabilities.includes('rebase')) {
      throw unimplemented(`snapshotter ${JSON.stringify(snapshotter)}: a parent that is given at the commit`);
    }
    return (await this.#ancestors({ snapshotter, parent }, call))[0];
  }

  /** Throws NotFound, and FailedPrecondition while there are children. The disk's space is free some time later. */
  async remove({ snapshotter, key }: SnapshotKey, call: CatalogueCall): Promise<void> {
    const driver = this.snapshotter(snapshotter);
    const { generation } = recordOf(await this.#catalogue.remove({ snapshotter, key }, call.options));
    // Deleting it would empty the file system of who still uses it; the reaper comes back for it.
    if (!readMountedLayers()(generation)) this.#discard(driver, generation);
  }

  /** Of an active snapshot what it takes now, of a committed one what it took at its commit. */
  async usage(key: SnapshotKey, call: CatalogueCall): Promise<Usage> {
    const driver = this.snapshotter(key.snapshotter);
    const snapshot = await this.find(key, call);
    if (snapshot.kind === Kind.ACTIVE) return this.#usageOf(driver, snapshot.generation, call);
    if (snapshot.kind === Kind.COMMITTED) return { sizeBytes: snapshot.size, inodes: snapshot.inodes };
    return NOTHING;
  }

  async #current({ snapshotter, key }: SnapshotKey, call: CatalogueCall): Promise<Snapshot> {
    const known = this.#records.get(call.namespace, snapshotter, key);
    return known ?? recordOf(await this.#catalogue.get({ snapshotter, key }, call.options));
  }

  /** Throws {@link WrongAncestors} when the ancestors turn out to be others, or not to be on disk. */
  async #prepareOn(
    ancestors: readonly string[],
    request: PrepareRequest,
    call: CatalogueCall,
  ): Promise<readonly Mount[]> {
    const driver = this.snapshotter(request.snapshotter);
    const { key, kind, labels } = request;
    const { namespace } = call;
    const layer: NewLayer = { generation: newGeneration(), namespace, key, kind, ancestors, labels };
    const made = await this.#create(driver, layer, request, call);
    const recorded = recordedAs(made, request);
    const snapshot = await this.#record(driver, layer, recorded, call);
    if (snapshot.ancestorGenerations.join() !== ancestors.join()) {
      await this.remove(recorded, call);
      throw new WrongAncestors(request.parent);
    }
    if (made.kind === 'made') return made.mounts;
    throw alreadyExists(`target snapshot ${JSON.stringify(recorded.key)} from snapshotter`);
  }

  async #create(
    driver: Snapshotter,
    layer: NewLayer,
    { parent }: PrepareRequest,
    { options }: CatalogueCall,
  ): Promise<Made> {
    try {
      return await driver.create(layer, options.signal);
    } catch (error) {
      this.#discard(driver, layer.generation);
      throw isKind(error, 'NotFound') ? new WrongAncestors(parent, { cause: error }) : error;
    }
  }

  async #record(
    driver: Snapshotter,
    { generation }: Layer,
    { kind, ...request }: RecordRequest,
    { options }: CatalogueCall,
  ): Promise<Snapshot> {
    try {
      const wanted = { ...request, generation, kind: RECORD_KINDS[kind] };
      return recordOf(await this.#catalogue.prepare(wanted, options));
    } catch (error) {
      if (isRefusal(error)) this.#discard(driver, generation);
      else this.#unsettled.add(driver, generation);
      throw error;
    }
  }

  /** Of a parent that a commit will name: one that has gone meanwhile is refused then. */
  async #ancestors(of: Parent, call: CatalogueCall): Promise<string[]> {
    return this.#knownAncestors(of, call) ?? this.#ancestorsOn(of, call);
  }

  /** Those of a parent that this node knows; the catalogue's answer shows whether they are right. */
  #knownAncestors({ snapshotter, parent }: Parent, { namespace }: CatalogueCall): string[] | undefined {
    if (parent === '') return [];
    try {
      const record = this.#records.get(namespace, snapshotter, parent);
      return record && [record.generation, ...record.ancestorGenerations];
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** What the catalogue says a new snapshot will stand on; nothing for a parent that the catalogue will refuse. */
  async #ancestorsOn({ snapshotter, parent }: Parent, call: CatalogueCall): Promise<string[]> {
    if (parent === '') return [];
    try {
      const record = recordOf(await this.#catalogue.get({ snapshotter, key: parent }, call.options));
      return [record.generation, ...record.ancestorGenerations];
    } catch (error) {
      if (isKind(error, 'NotFound')) return [];
      throw error;
    }
  }

  async #usageOf(driver: Snapshotter, generation: string, { options }: CatalogueCall): Promise<Usage> {
    return driver.usage(generation, options.signal);
  }

  /** Never throws: what fails here is found again by the reaper or at the next start. Deleting goes on afterwards. */
  #discard({ directories }: Snapshotter, generation: string): void {
    const report = (error: unknown) => {
      this.#log.warn({ generation, error: messageOf(error) }, 'discarded layer cannot be deleted');
    };
    try {
      directories.discard(generation);
      directories.purge(generation).catch(report);
    } catch (error) {
      report(error);
    }
  }
}

/** A parent is not where it was thought to be: it was removed and made again, or its directory is gone. */
class WrongAncestors extends LongshoreError {
  constructor(parent: string, options?: ErrorOptions) {
    super(
      'Unavailable',
      `parent snapshot ${JSON.stringify(parent)} is not on this node's disk as recorded`,
      options,
    );
  }
}

const layerKinds: ReadonlyMap<Kind, Layer['kind']> = new Map([
  [Kind.ACTIVE, 'active'],
  [Kind.VIEW, 'view'],
]);

type RecordRequest = Omit<PrepareRequest, 'kind'> & { kind: PrepareRequest['kind'] | 'committed' };

const RECORD_KINDS = { active: Kind.ACTIVE, view: Kind.VIEW, committed: Kind.COMMITTED } as const;

/** What was found is recorded as what the label says it is to become, with the labels that it has beside those asked for. */
function recordedAs(made: Made, request: PrepareRequest): RecordRequest {
  const target = snapshotRef(request.labels);
  if (made.kind === 'made' || target === undefined) return request;
  return { ...request, key: target, kind: 'committed', labels: { ...made.labels, ...request.labels } };
}

function recordOf({ snapshot }: { snapshot?: Snapshot | undefined }): Snapshot {
  if (!snapshot) throw new LongshoreError('Internal', 'the catalogue answered without a snapshot');
  return snapshot;
}
