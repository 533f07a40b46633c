import { isKind } from '@longshore/errors';
import type { Descriptor, Labels, Platform } from '@longshore/oci';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { ContentStore } from '../content/content-store.ts';
import type { Services } from '../services.ts';
import { type ExportOptions, exportImages } from './export.ts';
import { Image } from './image.ts';
import type { ImageParts } from './image-parts.ts';
import { type ImportOptions, importImages } from './import.ts';
import { pull } from './pull.ts';
import type { PullOptions } from './pull-options.ts';
import { type PushOptions, push } from './push.ts';
import { serverPlatform } from './server-platform.ts';

export interface TagOptions {
  /** Makes a name that is taken mean this image from now on; without it, it is AlreadyExists. */
  force?: boolean | undefined;
  labels?: Labels | undefined;
  signal?: AbortSignal | undefined;
}

/** The images of one namespace, and what moves images to it and from it. */
export class ImageStore {
  readonly #parts: ImageParts;
  readonly #images: ServiceClient<typeof Images>;

  constructor(services: Services) {
    let platform: Promise<Platform> | undefined;
    this.#images = services.service(Images);
    this.#parts = {
      services,
      content: new ContentStore(services),
      platform: () => {
        platform ??= serverPlatform(services).catch((error: unknown) => {
          platform = undefined;
          throw error;
        });
        return platform;
      },
    };
  }

  /** By its full name. Throws NotFound. */
  async get(name: string, options?: CallOptions): Promise<Image> {
    const { image } = await this.#images.get({ name }, options);
    return new Image(this.#parts, image!);
  }

  /** In the order of their names. */
  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Image[]> {
    const { images } = await this.#images.list({ filters: [...filters] }, options);
    return images.map((image) => new Image(this.#parts, image));
  }

  /** Brings an image to the server: see {@link PullOptions}. */
  async pull(reference: string, options: PullOptions = {}): Promise<Image> {
    const { name, platform } = await pull(this.#parts, reference, options);
    const { image } = await this.#images.get({ name }, { signal: options.signal });
    return new Image(this.#parts, image!, platform);
  }

  /** Puts an image to a registry, and answers what was put: see {@link PushOptions}. Throws NotFound. */
  async push(name: string, options: PushOptions = {}): Promise<Descriptor> {
    return push(this.#parts, await this.get(name, { signal: options.signal }), options);
  }

  /** Stores and records the images of an archive: see {@link ImportOptions}. */
  async import(archive: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<Image[]> {
    const names = await importImages(this.#parts, archive, options);
    return Promise.all(names.map((name) => this.get(name, { signal: options.signal })));
  }

  /** One archive of images, by their names: see {@link ExportOptions}. Throws NotFound. */
  async *export(names: readonly string[], options: ExportOptions = {}): AsyncGenerator<Buffer> {
    const { signal } = options;
    const images = await Promise.all(names.map((name) => this.get(name, { signal })));
    yield* exportImages(this.#parts, images, options);
  }

  /** Gives an image another name. Throws NotFound, AlreadyExists. */
  async tag(source: string, name: string, options: TagOptions = {}): Promise<Image> {
    const { force = false, labels, signal } = options;
    const { image } = await this.#images.get({ name: source }, { signal });
    const { target, labels: kept } = image!;
    const tagged = { name, target: target!, labels: labels ?? kept };
    try {
      const created = await this.#images.create({ image: tagged }, { signal });
      return new Image(this.#parts, created.image!);
    } catch (error) {
      if (!force || !isKind(error, 'AlreadyExists')) throw error;
    }
    const updated = await this.#images.update({ image: tagged }, { signal });
    return new Image(this.#parts, updated.image!);
  }
}
