import { failedPrecondition, isKind, LongshoreError, notFound } from '@longshore/errors';
import { algorithmOf, type Descriptor, encodedOf, type Platform } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import { packArchive } from '../archive/pack-archive.ts';
import type { ContentStore } from '../content/content-store.ts';
import { archiveIndex, dockerManifest, layoutFile } from './archive-documents.ts';
import type { ExportedImage } from './exported-image.ts';
import type { Image } from './image.ts';
import { Member } from './image-archive.ts';
import type { ImageParts } from './image-parts.ts';
import { type OnProgress, ProgressTracker } from './progress.ts';
import { readStoredTree, type StoredTree, storedTree } from './stored-tree.ts';

export interface ExportOptions {
  /** Only this one; default: all that are stored. */
  platform?: Platform | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes images as one archive: an OCI layout that `docker load` takes too. Throws NotFound before the first byte when something is not
 * stored; the archive is whole only if it comes to its end without an error.
 */
export async function* exportImages(
  parts: ImageParts,
  images: readonly Image[],
  { platform, onProgress, signal }: ExportOptions = {},
): AsyncGenerator<Buffer> {
  signal?.throwIfAborted();
  const { content } = parts;
  using tracker = new ProgressTracker(images[0]?.name ?? '', onProgress);
  const exported: ExportedImage[] = [];
  for (const image of images)
    exported.push({ image, tree: await treeOf(content, image, platform, { signal }) });
  if (exported.length === 0) throw failedPrecondition('export of no images');
  const blobs = await checkedBlobs(content, exported, { signal });
  for (const blob of blobs) tracker.blob(blob, 'waiting', 0);
  tracker.phase('transferring');
  const here = await parts.platform();
  yield* packArchive(async (archive) => {
    await archive.file(Member.Layout, layoutFile());
    await archive.file(Member.Index, archiveIndex(exported));
    await archive.file(Member.DockerManifest, dockerManifest(exported, here));
    for (const { digest, mediaType, size } of blobs) {
      let offsetBytes = 0;
      const name = `blobs/${algorithmOf(digest)}/${encodedOf(digest)}`;
      await archive.stream(name, size, content.read(digest, {}, { signal }), (chunkBytes) => {
        offsetBytes += chunkBytes;
        tracker.blob({ digest, mediaType, size }, offsetBytes < size ? 'transferring' : 'done', offsetBytes);
      });
    }
  });
  signal?.throwIfAborted();
  tracker.phase('done');
}

async function treeOf(
  content: ContentStore,
  { name, target }: Image,
  platform: Platform | undefined,
  options: CallOptions,
): Promise<StoredTree> {
  if (!platform) return storedTree(content, target, options);
  const { documents, images } = await readStoredTree(content, name, target, [platform], options);
  return { documents: documents.map(({ descriptor }) => descriptor).reverse(), images };
}

/** All that goes into the archive, each once: a size that is not the right one would spoil what comes behind it. */
async function checkedBlobs(
  content: ContentStore,
  exported: readonly ExportedImage[],
  options: CallOptions,
): Promise<Descriptor[]> {
  const all = exported.flatMap(({ tree: { documents, images } }) => [
    ...documents,
    ...images.flatMap(({ manifest }) => [manifest.config, ...manifest.layers]),
  ]);
  const distinct = [...new Map(all.map((blob) => [blob.digest, blob])).values()];
  for (const { digest, size } of distinct) {
    const { sizeBytes } = await content.info(digest, options).catch((error: unknown) => {
      throw isKind(error, 'NotFound')
        ? notFound(`blob ${digest} of the image to export`, { cause: error })
        : error;
    });
    if (sizeBytes === size) continue;
    throw new LongshoreError(
      'DataLoss',
      `blob ${digest}: has ${sizeBytes} bytes instead of ${size}: data loss`,
    );
  }
  return distinct;
}
