import { isKind } from '@longshore/errors';
import {
  chainIds,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Labels,
  normalizePlatform,
  type Platform,
} from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { type Image as ImageMessage, Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { CallOptions } from '@longshore/rpc';
import { fileLayers, type ImageManifest, PlainStore } from '@longshore/transfer';
import { dateOf } from '../call-time.ts';
import { descriptorFromProto, descriptorToProto } from '../content/descriptor.ts';
import { underLease } from '../leases/work-lease.ts';
import { DEFAULT_SNAPSHOTTER, Snapshotter } from '../snapshots/snapshotter.ts';
import type { ImageParts } from './image-parts.ts';
import { type OnProgress, ProgressTracker } from './progress.ts';
import { isRunnable, readConfig, readStoredTree, storedTree } from './stored-tree.ts';
import { unpackImage } from './unpack-image.ts';

export interface UnpackOptions {
  /** Default overlayfs. */
  snapshotter?: string | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

export interface ImageUsageOptions extends CallOptions {
  /** Default overlayfs. */
  snapshotter?: string | undefined;
}

export interface ImageUsage {
  contentBytes: number;
  snapshotBytes: number;
}

/**
 * A name for an index or a manifest, as the record was when it was read. What is asked of its content is that of one platform: what the
 * server runs, or the one of {@link forPlatform}; it throws NotFound where that is not stored.
 */
export class Image {
  readonly name: string;
  readonly target: Descriptor;
  readonly labels: Readonly<Labels>;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  readonly #parts: ImageParts;
  readonly #record: ImageMessage;
  readonly #platform: Platform | undefined;

  constructor(parts: ImageParts, record: ImageMessage, platform?: Platform) {
    this.#parts = parts;
    this.#record = record;
    this.#platform = platform;
    this.name = record.name;
    this.target = descriptorFromProto(record.target!);
    this.labels = record.labels;
    this.createdAt = dateOf(record.createdAt);
    this.updatedAt = dateOf(record.updatedAt);
  }

  /** The same image for machines of another kind. */
  forPlatform(platform: Platform): Image {
    return new Image(this.#parts, this.#record, platform);
  }

  async manifest(options?: CallOptions): Promise<ImageManifest> {
    const platform = this.#platform ?? (await this.#parts.platform());
    const tree = await readStoredTree(this.#parts.content, this.name, this.target, [platform], options);
    return tree.images[0]!;
  }

  /** Throws InvalidArgument for what is no config of an image. */
  async config(options?: CallOptions): Promise<ImageConfig> {
    return readConfig(this.#parts.content, await this.manifest(options), options);
  }

  /** Digests of the uncompressed layers, lowest first. */
  async diffIds(options?: CallOptions): Promise<Digest[]> {
    return (await this.config(options)).rootfs.diff_ids;
  }

  /** The name of the snapshot that containers stand on; empty for an image without layers. */
  async chainId(options?: CallOptions): Promise<Digest | ''> {
    return chainIds(await this.diffIds(options)).at(-1) ?? '';
  }

  /** Of what is stored for it: manifest, config and layers, as they are stored. */
  async sizeBytes(options?: CallOptions): Promise<number> {
    const { descriptor, manifest } = await this.manifest(options);
    const distinct = new Map(
      [this.target, descriptor, manifest.config, ...manifest.layers].map(({ digest, size }) => [
        digest,
        size,
      ]),
    );
    return distinct.values().reduce((sum, size) => sum + size, 0);
  }

  /** What it takes: its blobs, and the snapshots of its layers, those that are there. What it shares with other images counts whole. */
  async usage({ snapshotter, ...options }: ImageUsageOptions = {}): Promise<ImageUsage> {
    const snapshots = new Snapshotter(this.#parts.services, snapshotter);
    const names = chainIds(await this.diffIds(options));
    const found = await Promise.all(names.map((name) => orUndefined(snapshots.usage(name, options))));
    return {
      contentBytes: await this.sizeBytes(options),
      snapshotBytes: found.reduce((sum, each) => sum + (each?.sizeBytes ?? 0), 0),
    };
  }

  /** Sets these, deletes those given as empty, and leaves the others. Answers the image as it is then. Throws NotFound. */
  async setLabels(labels: Readonly<Labels>, options?: CallOptions): Promise<Image> {
    const paths = Object.keys(labels).map((name) => `labels.${name}`);
    const images = this.#parts.services.service(Images);
    const request = { image: { name: this.name, labels }, updateMask: { paths } };
    const { image } = paths.length > 0 ? await images.update(request, options) : { image: this.#record };
    return new Image(this.#parts, image!, this.#platform);
  }

  /** Those whose manifests and configs are stored; their layers need not be. */
  async platforms(options?: CallOptions): Promise<Platform[]> {
    const { content } = this.#parts;
    const found: Platform[] = [];
    const { images } = await storedTree(content, this.target, options);
    for (const image of images.filter(isRunnable)) {
      const platform = image.platform ?? (await orUndefined(readConfig(content, image, options)));
      if (!platform) continue;
      const { os, architecture, variant } = platform;
      found.push(normalizePlatform({ os, architecture, ...(variant !== undefined && { variant }) }));
    }
    return found;
  }

  /** Whether containers can stand on it at once. */
  async isUnpacked(snapshotter?: string, options?: CallOptions): Promise<boolean> {
    const chainId = await this.chainId(options);
    if (chainId === '') return true;
    const found = await orUndefined(
      new Snapshotter(this.#parts.services, snapshotter).stat(chainId, options),
    );
    return found?.kind === 'committed';
  }

  /** Makes snapshots of its layers, those that are not there. Throws NotFound for content that is not stored. */
  async unpack(options: UnpackOptions = {}): Promise<void> {
    const { snapshotter = DEFAULT_SNAPSHOTTER, signal = new AbortController().signal } = options;
    using tracker = new ProgressTracker(this.name, options.onProgress);
    tracker.phase('unpacking');
    await underLease(this.#parts.services, async (call) => {
      const image = await this.manifest({ ...call, signal });
      for (const layer of fileLayers(image)) tracker.blob(layer, 'exists', layer.size);
      const store = new PlainStore(this.#parts.services.service(Content), call);
      const whenStored = async () => undefined;
      await unpackImage(this.#parts, {
        image,
        snapshotter,
        store,
        whenStored,
        tracker,
        options: call,
        signal,
      });
    });
    tracker.phase('done');
  }

  /**
   * Throws NotFound, also when the name stands for something else by now. With `sync` what nothing else refers to is gone when this
   * resolves.
   */
  async delete({ sync = false, ...options }: CallOptions & { sync?: boolean } = {}): Promise<void> {
    const target = descriptorToProto(this.target);
    await this.#parts.services.service(Images).delete({ name: this.name, sync, target }, options);
  }
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}
