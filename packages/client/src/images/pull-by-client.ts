import { type Labels, type Platform, platformsEqual, type Reference } from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { type BlobProgress, PlainStore, pullImage, recordImage } from '@longshore/transfer';
import { underLease } from '../leases/work-lease.ts';
import type { ImageParts } from './image-parts.ts';
import { openRegistry, type RegistryOptions } from './open-registry.ts';
import type { BlobState, ProgressTracker } from './progress.ts';
import { unpackImage } from './unpack-image.ts';

export interface ClientPull {
  reference: Reference;
  name: string;
  labels: Labels;
  registry: RegistryOptions;
  /** None: all. */
  platforms: readonly Platform[];
  /** Undefined: it is not unpacked. */
  snapshotter: string | undefined;
  tracker: ProgressTracker;
  signal: AbortSignal;
}

const STATES = {
  waiting: 'waiting',
  fetching: 'transferring',
  done: 'done',
  exists: 'exists',
} as const satisfies Record<BlobProgress['status'], BlobState>;

/**
 * Pulls as containerd's Go client does: this process fetches and writes to the content store, has layers unpacked, and records the
 * image last. Source: containerd client/pull.go.
 */
export async function pullByClient(parts: ImageParts, request: ClientPull): Promise<void> {
  const { reference, tracker, signal, snapshotter } = request;
  const { services } = parts;
  await using registry = await openRegistry(reference.host, request.registry);
  await underLease(services, async (options) => {
    const store = new PlainStore(services.service(Content), options);
    const { target } = await pullImage({
      reference,
      client: registry,
      store,
      platforms: request.platforms,
      signal,
      onResolved: ({ digest }) => tracker.resolved(digest),
      onBlob: (blob) => tell(tracker, blob),
      onImage: async (image, whenStored, until) => {
        if (snapshotter === undefined) return;
        // Of all platforms only that of the server is any use there.
        const isOnly = request.platforms.length === 1 || !image.platform;
        if (!isOnly && !platformsEqual(image.platform!, await parts.platform())) return;
        await unpackImage(parts, { image, snapshotter, store, whenStored, tracker, options, signal: until });
      },
    });
    tracker.phase('recording');
    await recordImage(services.service(Images), request.name, target, request.labels, {
      ...options,
      signal,
    });
  });
}

function tell(tracker: ProgressTracker, { descriptor, parent, status, offsetBytes }: BlobProgress): void {
  tracker.blob(descriptor, STATES[status], offsetBytes, parent?.digest);
}
