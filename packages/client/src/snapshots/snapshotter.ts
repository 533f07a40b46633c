import type { Labels } from '@longshore/oci';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import type { Mount } from '@longshore/proto/containerd/types/mount';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { Services } from '../services.ts';
import { type SnapshotInfo, snapshotInfoFromProto } from './snapshot-info.ts';

/** As containerd's clients have it. */
export const DEFAULT_SNAPSHOTTER = 'overlayfs';

export interface NewSnapshot {
  key: string;
  /** Name of a committed snapshot; none begins with nothing. */
  parent?: string | undefined;
  labels?: Labels | undefined;
}

/** One snapshotter's snapshots in one namespace. active → committed; what nothing refers to, and no lease, is garbage. */
export class Snapshotter {
  readonly name: string;
  readonly #snapshots: ServiceClient<typeof Snapshots>;

  constructor(services: Services, name: string = DEFAULT_SNAPSHOTTER) {
    this.name = name;
    this.#snapshots = services.service(Snapshots);
  }

  /** Makes one to be written to. Throws AlreadyExists, NotFound for the parent. */
  async prepare(snapshot: NewSnapshot, options?: CallOptions): Promise<Mount[]> {
    return (await this.#snapshots.prepare(this.#request(snapshot), options)).mounts;
  }

  /** Makes one to be read only. Throws AlreadyExists, NotFound for the parent. */
  async view(snapshot: NewSnapshot, options?: CallOptions): Promise<Mount[]> {
    return (await this.#snapshots.view(this.#request(snapshot), options)).mounts;
  }

  /** The active snapshot `key` becomes the committed one `name`, with these labels alone. Throws AlreadyExists, NotFound. */
  async commit(name: string, key: string, labels: Labels = {}, options?: CallOptions): Promise<void> {
    await this.#snapshots.commit({ snapshotter: this.name, name, key, labels }, options);
  }

  /** Throws FailedPrecondition for one that is committed. */
  async mounts(key: string, options?: CallOptions): Promise<Mount[]> {
    return (await this.#snapshots.mounts({ snapshotter: this.name, key }, options)).mounts;
  }

  /** Throws NotFound. */
  async stat(key: string, options?: CallOptions): Promise<SnapshotInfo> {
    const { info } = await this.#snapshots.stat({ snapshotter: this.name, key }, options);
    return snapshotInfoFromProto(info!);
  }

  /** Its own layer's, without what it stands on. */
  async usage(key: string, options?: CallOptions): Promise<{ sizeBytes: number; inodes: number }> {
    const { size, inodes } = await this.#snapshots.usage({ snapshotter: this.name, key }, options);
    return { sizeBytes: Number(size), inodes: Number(inodes) };
  }

  async *list(filters: readonly string[] = [], options?: CallOptions): AsyncGenerator<SnapshotInfo> {
    const request = { snapshotter: this.name, filters: [...filters] };
    for await (const { info } of this.#snapshots.list(request, options)) {
      yield* info.map(snapshotInfoFromProto);
    }
  }

  /** Sets the labels that are given, deletes those given as empty, and leaves the others. Throws NotFound. */
  async label(name: string, labels: Labels, options?: CallOptions): Promise<SnapshotInfo> {
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return this.stat(name, options);
    const request = { snapshotter: this.name, info: { name, labels }, updateMask: { paths } };
    const { info } = await this.#snapshots.update(request, options);
    return snapshotInfoFromProto(info!);
  }

  /** Throws NotFound, FailedPrecondition for one that others stand on. */
  async remove(key: string, options?: CallOptions): Promise<void> {
    await this.#snapshots.remove({ snapshotter: this.name, key }, options);
  }

  /** Frees what removed snapshots left. Throws Unimplemented where the snapshotter frees it at once. */
  async cleanup(options?: CallOptions): Promise<void> {
    await this.#snapshots.cleanup({ snapshotter: this.name }, options);
  }

  #request({ key, parent = '', labels = {} }: NewSnapshot) {
    return { snapshotter: this.name, key, parent, labels };
  }
}
