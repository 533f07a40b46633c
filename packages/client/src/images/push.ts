import { failedPrecondition, isKind } from '@longshore/errors';
import {
  type Descriptor,
  layerCompression,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
} from '@longshore/oci';
import { expandShortName, type RegistryPusher } from '@longshore/registry';
import type { CallOptions } from '@longshore/rpc';
import { type ImageTree, Turns } from '@longshore/transfer';
import type { Image } from './image.ts';
import type { ImageParts } from './image-parts.ts';
import { openRegistry, type RegistryOptions } from './open-registry.ts';
import { type OnProgress, ProgressTracker } from './progress.ts';
import { readStoredTree } from './stored-tree.ts';

export interface PushOptions extends RegistryOptions {
  /** Where to; default: what the image is called. */
  to?: string | undefined;
  /** Only this platform's manifest, under the name; default: all that the name stands for. */
  platform?: string | Platform | undefined;
  onProgress?: OnProgress | undefined;
  /** When it aborts the name in the registry is what it was; blobs that are there already stay. */
  signal?: AbortSignal | undefined;
}

/** As many as are pulled at a time. */
const PARALLEL = 3;
const SOURCE_LABEL = 'containerd.io/distribution.source.';

/**
 * Puts a stored image to a registry: blobs, those it does not have; then manifests; what the name stands for last. Answers that. Throws
 * FailedPrecondition, with nothing sent, for an image of which not all is stored.
 */
export async function push(parts: ImageParts, image: Image, options: PushOptions = {}): Promise<Descriptor> {
  const reference = parseReference(expandShortName(options.to ?? image.name));
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  signal.throwIfAborted();
  using tracker = new ProgressTracker(image.name, options.onProgress);
  await using registry = await openRegistry(reference.host, options);
  const pusher = registry.pusher();
  const tree = await wholeTree(parts, image, options.platform, { signal });
  tracker.resolved(tree.target.digest);
  const blobs = await sourcesOf(parts, tree, reference, { signal });
  for (const { descriptor } of blobs) tracker.blob(descriptor, 'waiting', 0);
  const turns = new Turns(PARALLEL);
  const uploads = blobs.map((blob) =>
    turns.run(() => upload(parts, pusher, { ...blob, reference, tracker, signal })),
  );
  for (const each of uploads) each.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(uploads);
  // The first failure; those that it caused say no more than that.
  signal.throwIfAborted();
  await putDocuments(pusher, tree, reference, tracker, signal);
  tracker.phase('done');
  return tree.target;
}

/** With one platform the tree of its manifest alone: a registry refuses an index that names what it lacks. */
async function wholeTree(
  { content }: ImageParts,
  { name, target }: Image,
  wanted: string | Platform | undefined,
  options: CallOptions,
): Promise<ImageTree> {
  try {
    if (wanted === undefined) return await readStoredTree(content, name, target, [], options);
    const platform = typeof wanted === 'string' ? parsePlatform(wanted) : wanted;
    const { images, documents } = await readStoredTree(content, name, target, [platform], options);
    const image = images[0]!;
    const document = documents.filter(({ descriptor }) => descriptor.digest === image.descriptor.digest);
    return { target: image.descriptor, documents: document, images };
  } catch (error) {
    if (wanted !== undefined || !isKind(error, 'NotFound')) throw error;
    throw failedPrecondition(
      `image ${JSON.stringify(name)}: not all of its platforms are stored; push one of them, or pull all`,
      { cause: error },
    );
  }
}

interface BlobSource {
  descriptor: Descriptor;
  /** Repositories of the registry that it came from. */
  mountFrom: readonly string[];
}

/** Configs and layers, each once. Layers that must not be given to others stay where their URLs say. */
async function sourcesOf(
  { content }: ImageParts,
  { images }: ImageTree,
  { host }: Reference,
  options: CallOptions,
): Promise<BlobSource[]> {
  const blobs = images.flatMap(({ manifest }) => [
    manifest.config,
    ...manifest.layers.filter(({ mediaType }) => !isForeign(mediaType)),
  ]);
  const distinct = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
  const turns = new Turns(PARALLEL);
  return Promise.all(
    distinct.map(async (descriptor) => {
      const { labels } = await turns.run(() => content.info(descriptor.digest, options)).catch(missing);
      const repositories = labels[`${SOURCE_LABEL}${host.replace(/:\d+$/, '')}`] ?? '';
      return { descriptor, mountFrom: repositories.split(',').filter(Boolean) };
    }),
  );
}

async function upload(
  { content }: ImageParts,
  pusher: RegistryPusher,
  { descriptor, mountFrom, reference, tracker, signal }: BlobSource & PushCall,
): Promise<void> {
  signal.throwIfAborted();
  const outcome = await pusher.upload(reference, {
    descriptor,
    mountFrom,
    signal,
    open: (offsetBytes) => content.read(descriptor.digest, { offsetBytes }, { signal }),
    onOffset: (offsetBytes) => tracker.blob(descriptor, 'transferring', offsetBytes),
  });
  tracker.blob(descriptor, outcome === 'uploaded' ? 'done' : 'exists', descriptor.size);
}

interface PushCall {
  reference: Reference;
  tracker: ProgressTracker;
  signal: AbortSignal;
}

async function putDocuments(
  pusher: RegistryPusher,
  { documents, target }: ImageTree,
  reference: Reference,
  tracker: ProgressTracker,
  signal: AbortSignal,
): Promise<void> {
  for (const { descriptor, bytes } of documents) {
    const { locator, host, repository } = reference;
    const { digest } = descriptor;
    const byDigest = { locator, host, repository, object: `@${digest}`, tag: '', digest };
    const named = digest === target.digest ? reference : byDigest;
    const isThere = await pusher.hasManifest(named, descriptor, signal);
    if (!isThere) await pusher.putManifest(named, descriptor, bytes, signal);
    tracker.blob(descriptor, isThere ? 'exists' : 'done', descriptor.size);
  }
}

function isForeign(mediaType: string): boolean {
  return layerCompression(mediaType) !== undefined && /nondistributable|foreign/.test(mediaType);
}

function missing(error: unknown): never {
  if (!isKind(error, 'NotFound')) throw error;
  throw failedPrecondition('image to push lacks some of its content', { cause: error });
}
