import { isKind } from '@longshore/errors';
import type { Descriptor, Digest, ImageConfig, Platform } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import {
  diffIdsOf,
  type ImageManifest,
  type ImageTree,
  parseImageDocument,
  parseObject,
  readTree,
} from '@longshore/transfer';
import type { ContentStore } from '../content/content-store.ts';

/** As registries and containerd limit manifests and configs. */
export const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

const NO_PLATFORM = 'unknown';

/**
 * From what a name stands for down to the manifests of the platforms; none means all that there are. Throws NotFound for a document
 * that is not stored, and for a platform that the image does not have.
 */
export async function readStoredTree(
  content: ContentStore,
  name: string,
  target: Descriptor,
  platforms: readonly Platform[],
  options?: CallOptions,
): Promise<ImageTree> {
  const read = (descriptor: Descriptor) => content.readWhole(descriptor, MAX_DOCUMENT_BYTES, options);
  return readTree(name, target, await read(target), platforms, read);
}

/** Throws NotFound, InvalidArgument for what is no config of an image. */
export async function readConfig(
  content: ContentStore,
  { manifest: { config } }: ImageManifest,
  options?: CallOptions,
): Promise<ImageConfig> {
  const bytes = await content.readWhole(config, MAX_DOCUMENT_BYTES, options);
  const diffIds = diffIdsOf(config.digest, bytes);
  const document = parseObject(bytes, `image config ${config.digest}`) as Partial<ImageConfig>;
  const { os = 'linux', architecture = '' } = document;
  return { ...document, os, architecture, rootfs: { type: 'layers', diff_ids: diffIds } };
}

/** What is stored of a target's documents. */
export interface StoredTree {
  /** Indexes and manifests, parents before children. */
  documents: Descriptor[];
  /** With their platforms as far as the index says them. */
  images: ImageManifest[];
}

/** An index that was pulled for one platform lacks the manifests of the others. Throws NotFound for the target itself. */
export async function storedTree(
  content: ContentStore,
  target: Descriptor,
  options?: CallOptions,
): Promise<StoredTree> {
  const tree: StoredTree = { documents: [], images: [] };
  const seen = new Set<Digest>();
  const visit = async (descriptor: Descriptor, platform: Platform | undefined): Promise<void> => {
    if (seen.has(descriptor.digest)) return;
    seen.add(descriptor.digest);
    const bytes = await content.readWhole(descriptor, MAX_DOCUMENT_BYTES, options);
    const document = parseImageDocument(descriptor, bytes);
    tree.documents.push(descriptor);
    if (document.kind === 'manifest') {
      tree.images.push({ descriptor, manifest: document.manifest, platform });
      return;
    }
    for (const child of document.index.manifests) {
      await visit(child, child.platform).catch((error: unknown) => {
        if (!isKind(error, 'NotFound')) throw error;
      });
    }
  };
  await visit(target, undefined);
  return tree;
}

/** Attestations and the like are for no machine. */
export function isRunnable({ platform }: ImageManifest): boolean {
  return platform?.os !== NO_PLATFORM;
}
