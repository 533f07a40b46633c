import { randomUUID } from 'node:crypto';
import { type Descriptor, type Labels, MediaType } from '@longshore/oci';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import type { Mount } from '@longshore/proto/containerd/types/mount';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { descriptorFromProto, descriptorToProto } from '../content/descriptor.ts';
import { underLease } from '../leases/work-lease.ts';
import type { Services } from '../services.ts';
import { Snapshotter } from '../snapshots/snapshotter.ts';

/** A mount as snapshotters give them; its paths are the server's. */
export type SnapshotMount = Pick<Mount, 'type' | 'source' | 'target' | 'options'>;

export interface CompareOptions extends CallOptions {
  /** Default: an OCI layer, compressed by gzip. */
  mediaType?: string | undefined;
  /** Of the blob. Without one that refers to it, and without a lease, it is garbage. */
  labels?: Labels | undefined;
}

export interface SnapshotDiffOptions extends CompareOptions {
  /** Default overlayfs. */
  snapshotter?: string | undefined;
}

/** What snapshots differ by, as layers; the server reads and writes their files. */
export class Differ {
  readonly #services: Services;
  readonly #diff: ServiceClient<typeof Diff>;

  constructor(services: Services) {
    this.#services = services;
    this.#diff = services.service(Diff);
  }

  /** Stores what `upper` has changed over `lower` as a layer; none is an empty directory. Throws Unimplemented for a media type, and at a server that compares nothing. */
  async compare(
    lower: readonly SnapshotMount[],
    upper: readonly SnapshotMount[],
    { mediaType = MediaType.OciLayerGzip, labels = {}, ...options }: CompareOptions = {},
  ): Promise<Descriptor> {
    const request = { left: [...lower], right: [...upper], mediaType, labels, ref: `diff-${randomUUID()}` };
    const { diff } = await this.#diff.diff(request, options);
    return descriptorFromProto(diff!);
  }

  /** Stores what a snapshot, active or committed, has changed over the one that it stands on. Throws NotFound. */
  async snapshot(key: string, options: SnapshotDiffOptions = {}): Promise<Descriptor> {
    const { snapshotter, ...compare } = options;
    const snapshots = new Snapshotter(this.#services, snapshotter);
    const call = { headers: options.headers, signal: options.signal, deadline: options.deadline };
    await using views = new AsyncDisposableStack();
    return await underLease(this.#services, async ({ headers }) => {
      const leased = { ...call, headers: { ...call.headers, ...headers } };
      const view = async (parent: string) => {
        const viewKey = `diff-${randomUUID()}`;
        // Also for a caller who has gone; what stays goes with the lease.
        views.defer(() => snapshots.remove(viewKey, { headers: call.headers }).catch(() => undefined));
        return snapshots.view({ key: viewKey, parent }, leased);
      };
      const { parent, kind } = await snapshots.stat(key, leased);
      const lower = parent === '' ? [] : await view(parent);
      const upper = kind === 'committed' ? await view(key) : await snapshots.mounts(key, leased);
      // The layer is the caller's to keep, not this work's.
      return this.compare(lower, upper, compare);
    });
  }

  /** Unpacks a stored layer onto mounts. Answers the uncompressed tar, whose digest is the layer's diffID. Throws NotFound. */
  async apply(
    layer: Descriptor,
    mounts: readonly SnapshotMount[],
    options?: CallOptions,
  ): Promise<Descriptor> {
    const { applied } = await this.#diff.apply(
      { diff: descriptorToProto(layer), mounts: [...mounts] },
      options,
    );
    return descriptorFromProto(applied!);
  }
}
