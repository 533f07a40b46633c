import { isKind } from '@longshore/errors';
import type { Descriptor, ImageConfig, Platform } from '@longshore/oci';
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

/** Attestations and the like, which no machine runs. */
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

/** The images of a target whose manifests are stored, with their platforms as far as the index says them. */
export async function storedImages(
  content: ContentStore,
  target: Descriptor,
  options?: CallOptions,
): Promise<ImageManifest[]> {
  const document = parseImageDocument(target, await content.readWhole(target, MAX_DOCUMENT_BYTES, options));
  if (document.kind === 'manifest') {
    return [{ descriptor: target, manifest: document.manifest, platform: undefined }];
  }
  const found: ImageManifest[] = [];
  for (const child of document.index.manifests) {
    const below = await orNone(storedImages(content, child, options));
    found.push(...below.map((image) => ({ ...image, platform: image.platform ?? child.platform })));
  }
  return found.filter(({ platform }) => platform?.os !== NO_PLATFORM);
}

/** An index that was pulled for one platform lacks the manifests of the others. */
async function orNone(images: Promise<ImageManifest[]>): Promise<ImageManifest[]> {
  try {
    return await images;
  } catch (error) {
    if (isKind(error, 'NotFound')) return [];
    throw error;
  }
}
