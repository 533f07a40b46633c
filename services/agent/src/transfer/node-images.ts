import { notFound } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import {
  type Descriptor,
  type Digest,
  formatPlatform,
  formatReference,
  hostPlatform,
  type Labels,
  type Platform,
  parseReference,
  platformsEqual,
  type Reference,
} from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { type RegistryAccess, RegistryClient, type RegistryTransport } from '@longshore/registry';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import {
  type BlobPlace,
  type BlobToStore,
  ContentStore,
  type ImageManifest,
  type ImageTree,
  type PullStore,
  pullImage,
  readTree,
  recordImage,
  sourceLabels,
  withLease,
} from '@longshore/transfer';
import type { BlobCache } from '../content/blob-cache.ts';
import type { BlobSource } from '../content/blob-source.ts';
import { unpackImage } from './image-unpack.ts';
import { KeepingStore } from './keeping-store.ts';
import type { TransferProgress } from './transfer-progress.ts';
import type { LayerStatus } from './unpack-request.ts';
import type { Unpacker } from './unpacker.ts';

export interface NodeImagesOptions {
  content: ServiceClient<typeof Content>;
  blobService: ServiceClient<typeof BlobService>;
  claims: ServiceClient<typeof ClaimService>;
  leases: ServiceClient<typeof Leases>;
  images: ServiceClient<typeof Images>;
  blobs: BlobSource;
  unpacker: Unpacker;
  transport: RegistryTransport;
  /** Keeps what is fetched for the unpacking; `undefined` where the content service's files are at hand. */
  cache: BlobCache | undefined;
  log: Logger;
}

/** Where to unpack an image of a platform. */
export interface UnpackTarget {
  platform: Platform;
  snapshotter: string;
}

export interface PullToNode {
  reference: Reference;
  access: RegistryAccess;
  name: string;
  labels: Labels;
  /** None: all. */
  platforms: readonly Platform[];
  unpacks: readonly UnpackTarget[];
  progress: TransferProgress;
}

export interface InstallOnNode {
  name: string;
  target: Descriptor;
  platform: Platform;
  snapshotter: string;
  /** Where the fleet got it; empty when that is not to be told. */
  registry: string;
  onLinked(layers: readonly Descriptor[]): void;
  onLayer(layer: Descriptor, status: LayerStatus): void;
}

/** On whose behalf: the namespace, and options with this node and perhaps a lease. */
export interface NodeCaller {
  namespace: string;
  options: CallOptions;
  signal: AbortSignal;
}

/** Brings images to this node: from a registry, or from what the fleet has stored. The record comes last. */
export class NodeImages {
  readonly #parts: NodeImagesOptions;

  constructor(parts: NodeImagesOptions) {
    this.#parts = parts;
  }

  /** Throws InvalidArgument for an unknown snapshotter. */
  check(snapshotter: string): void {
    this.#parts.unpacker.check(snapshotter);
  }

  /** Each caller with its own credentials; blobs that others fetch or have fetched are not fetched again. */
  async pull(request: PullToNode, caller: NodeCaller): Promise<void> {
    const { reference, access, name, labels, progress } = request;
    const { transport, cache, images } = this.#parts;
    const client = new RegistryClient(transport, reference.host, access);
    const onLayer = progress.layer.bind(progress);
    await withLease(this.#parts.leases, caller.options, async (options) => {
      const store = this.#store(reference.host, options);
      const scope = { namespace: caller.namespace, store, options };
      const { target } = await pullImage({
        reference,
        client,
        store: cache ? new KeepingStore(store, cache) : store,
        platforms: request.platforms,
        signal: caller.signal,
        onResolved: () => progress.event('fetching image content', name),
        onBlob: (blob) => progress.blob(blob),
        onImage: async (image, whenStored, signal) => {
          for (const { snapshotter } of this.#unpacksOf(image, request)) {
            await unpackImage(this.#parts, { image, snapshotter, whenStored, signal, onLayer, ...scope });
          }
        },
      });
      await recordImage(images, name, target, labels, options);
      progress.saved(name, target);
    });
  }

  /** Throws NotFound that names a blob which the fleet does not have. */
  async install(request: InstallOnNode, caller: NodeCaller): Promise<void> {
    const { name, target, platform, snapshotter, onLayer } = request;
    const { namespace, signal } = caller;
    await withLease(this.#parts.leases, caller.options, async (options) => {
      const store = this.#store(request.registry, options);
      const scope = { namespace, store, options };
      const { tree, places } = await this.#linkTree(request, store, { ...options, signal });
      const whenStored = async (digest: Digest) => places.get(digest);
      for (const image of tree.images) {
        request.onLinked(image.manifest.layers);
        await unpackImage(this.#parts, { image, snapshotter, whenStored, signal, onLayer, ...scope });
      }
      if (tree.images.length === 0) {
        throw notFound(`image ${JSON.stringify(name)}: no match for platform ${formatPlatform(platform)}`);
      }
      await recordImage(this.#parts.images, name, target, {}, { ...options, signal });
    });
  }

  #store(registry: string, options: CallOptions): ContentStore {
    const { content, blobService, claims } = this.#parts;
    return new ContentStore({ content, blobs: blobService, claims, registry, options });
  }

  /** Links an index or manifest, what it leads to for the platform, and the blobs, parents before children. */
  async #linkTree(
    { name, target, platform, registry }: InstallOnNode,
    store: PullStore,
    options: CallOptions & { signal: AbortSignal },
  ): Promise<{ tree: ImageTree; places: Map<Digest, BlobPlace | undefined> }> {
    const places = new Map<Digest, BlobPlace | undefined>();
    const source = registry === '' ? {} : sourceLabels({ ...parseReference(name), host: registry });
    const link = async (blobs: readonly BlobToStore[]) => {
      for (const { digest, isLinked, place } of await store.link(blobs, options.signal)) {
        if (!isLinked) throw notFound(`blob ${digest} of image ${JSON.stringify(name)}`);
        places.set(digest, place);
      }
    };
    const read = async (descriptor: Descriptor) => {
      await link([{ descriptor, labels: source }]);
      const { digest, size } = descriptor;
      return this.#parts.blobs.readSmall({ digest, sizeBytes: size, place: places.get(digest) }, options);
    };
    const tree = await readTree(name, target, await read(target), [platform], read);
    const documents = tree.documents.map(({ descriptor, labels }) => ({ descriptor, labels }));
    const leaves = tree.images.flatMap(({ manifest }) => [manifest.config, ...manifest.layers]);
    const distinct = new Map(leaves.map((descriptor) => [descriptor.digest, { descriptor, labels: source }]));
    await link([...documents, ...distinct.values()]);
    return { tree, places };
  }

  /** The pairs that the request asks for and that this node is set up for. Others are skipped, as containerd does. */
  #unpacksOf({ platform }: ImageManifest, { unpacks, reference }: PullToNode): readonly UnpackTarget[] {
    const here = hostPlatform();
    if (platform && !platformsEqual(platform, here)) return [];
    const chosen = unpacks.filter((unpack) => platformsEqual(unpack.platform, here));
    if (unpacks.length > 0 && chosen.length === 0) {
      this.#parts.log.warn(
        { reference: formatReference(reference) },
        'nothing is unpacked for other platforms',
      );
    }
    return chosen;
  }
}
