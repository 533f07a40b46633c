import { notFound } from '@longshore/errors';
import {
  type Descriptor,
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

/** Reads a manifest or index: from a registry, or from what is stored. */
export type ReadDocument = (descriptor: Descriptor) => Promise<Buffer>;

/** Follows a reference in a registry down to the manifests of the platforms; none means all. */
export async function fetchTree(
  client: RegistryClient,
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
export async function readTree(
  name: string,
  target: Descriptor,
  bytes: Buffer,
  platforms: readonly Platform[],
  read: ReadDocument,
): Promise<ImageTree> {
  const root = parseImageDocument(target, bytes);
  const document = { descriptor: target, bytes, labels: labelsOf(root) };
  if (root.kind === 'manifest') {
    const image = { descriptor: target, manifest: root.manifest, platform: undefined };
    return { target, documents: [document], images: [image] };
  }
  const chosen = chosenOf(name, root.index.manifests, platforms);
  const below = await Promise.all(
    chosen.map(async (descriptor) => readTree(name, descriptor, await read(descriptor), platforms, read)),
  );
  const images = below.flatMap((tree, n) =>
    tree.images.map((image) => ({ ...image, platform: image.platform ?? chosen[n]?.platform })),
  );
  return { target, documents: [...below.flatMap(({ documents }) => documents), document], images };
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
