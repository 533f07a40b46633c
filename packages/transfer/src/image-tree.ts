import { invalidArgument, notFound } from '@longshore/errors';
import {
  type Descriptor,
  type Digest,
  formatPlatform,
  formatReference,
  type Labels,
  type Manifest,
  type Platform,
  type Reference,
} from '@longshore/oci';
import type { RegistryClient } from '@longshore/registry';
import { indexLabels, manifestLabels } from './blob-labels.ts';
import { chooseManifest } from './choose-platform.ts';
import { type ImageDocument, parseImageDocument } from './parse-manifest.ts';

/** A manifest or index with its bytes in hand. */
export interface Document {
  descriptor: Descriptor;
  bytes: Buffer;
  /** What it keeps from being collected. */
  labels: Labels;
}

/** One image of one platform. */
export interface ImageManifest {
  descriptor: Descriptor;
  manifest: Manifest;
  /** As the index says; unknown of a lone manifest. */
  platform: Platform | undefined;
}

export interface ImageTree {
  /** What the reference stands for: an index, or the one manifest. */
  target: Descriptor;
  /** All that were read, children before parents. */
  documents: Document[];
  /** Without those of other platforms. */
  images: ImageManifest[];
}

/** Many times what the largest images have, and few enough for our memory. */
const MAX_DOCUMENTS = 1_000;
const MAX_TREE_BYTES = 64 * 1024 * 1024;

/** Reads a manifest or index: from a registry, or from what is stored. */
export type ReadDocument = (descriptor: Descriptor) => Promise<Buffer>;

/** Follows a reference in a registry down to the manifests of the platforms; none means all. */
export async function fetchTree(
  client: Pick<RegistryClient, 'manifest'>,
  reference: Reference,
  platforms: readonly Platform[],
  signal: AbortSignal,
): Promise<ImageTree> {
  const { descriptor, bytes } = await client.manifest(reference, signal);
  const read: ReadDocument = async ({ digest }) =>
    (await client.manifest({ ...reference, object: `@${digest}`, tag: '', digest }, signal)).bytes;
  return readTree(formatReference(reference), descriptor, bytes, platforms, read);
}

/** `name` is the image's, for errors. Throws NotFound when an index has nothing for one of the platforms. */
export function readTree(
  name: string,
  target: Descriptor,
  bytes: Buffer,
  platforms: readonly Platform[],
  read: ReadDocument,
): Promise<ImageTree> {
  return new TreeReader(name, platforms, read).read(target, bytes);
}

/** Indexes may name indexes, and all of them the same ones: each is read once, and all of them together are limited. */
class TreeReader {
  readonly #name: string;
  readonly #platforms: readonly Platform[];
  readonly #readDocument: ReadDocument;
  readonly #seen = new Set<Digest>();
  #sizeBytes = 0;

  constructor(name: string, platforms: readonly Platform[], read: ReadDocument) {
    this.#name = name;
    this.#platforms = platforms;
    this.#readDocument = read;
  }

  async read(target: Descriptor, bytes: Buffer): Promise<ImageTree> {
    this.#count(target);
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > MAX_TREE_BYTES)
      throw this.#tooLarge(`more than ${MAX_TREE_BYTES} bytes of manifests`);
    const root = parseImageDocument(target, bytes);
    const document = { descriptor: target, bytes, labels: labelsOf(root) };
    if (root.kind === 'manifest') {
      const image = { descriptor: target, manifest: root.manifest, platform: undefined };
      return { target, documents: [document], images: [image] };
    }
    const chosen = chosenOf(this.#name, root.index.manifests, this.#platforms).filter(
      ({ digest }, place, all) =>
        !this.#seen.has(digest) && all.findIndex((other) => other.digest === digest) === place,
    );
    for (const child of chosen) this.#count(child);
    const below = await Promise.all(
      chosen.map(async (child) => this.read(child, await this.#readDocument(child))),
    );
    const images = below.flatMap((tree, n) =>
      tree.images.map((image) => ({ ...image, platform: image.platform ?? chosen[n]?.platform })),
    );
    return { target, documents: [...below.flatMap(({ documents }) => documents), document], images };
  }

  #count({ digest }: Descriptor): void {
    this.#seen.add(digest);
    if (this.#seen.size > MAX_DOCUMENTS) throw this.#tooLarge(`more than ${MAX_DOCUMENTS} manifests`);
  }

  #tooLarge(what: string) {
    return invalidArgument(`image ${JSON.stringify(this.#name)} has ${what}`);
  }
}

function chosenOf(
  name: string,
  manifests: readonly Descriptor[],
  platforms: readonly Platform[],
): Descriptor[] {
  if (platforms.length === 0) return [...manifests];
  const chosen = platforms.map((platform) => {
    const found = chooseManifest(manifests, platform);
    if (found) return found;
    throw notFound(
      `image ${JSON.stringify(name)}: no match for platform ${formatPlatform(platform)} in manifest`,
    );
  });
  return [...new Set(chosen)];
}

function labelsOf(document: ImageDocument): Labels {
  return document.kind === 'index' ? indexLabels(document.index) : manifestLabels(document.manifest);
}
