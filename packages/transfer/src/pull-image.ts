import {
  type Descriptor,
  type Digest,
  isLayerType,
  type Labels,
  type Platform,
  type Reference,
} from '@longshore/oci';
import type { RegistryClient } from '@longshore/registry';
import { sourceLabels } from './blob-labels.ts';
import { type BlobStatus, fetchBlob } from './fetch-blob.ts';
import { fetchTree, type ImageManifest, type ImageTree } from './image-tree.ts';
import type { BlobPlace, BlobToStore, PullStore } from './pull-store.ts';
import { refKey } from './ref-key.ts';
import { Turns } from './turns.ts';

export interface BlobProgress {
  descriptor: Descriptor;
  /** Of the manifest or index that names it; the target has none. */
  parent: Descriptor | undefined;
  status: BlobStatus;
  offsetBytes: number;
}

/** Resolves once a blob of the image is stored; says where its bytes are if that was told. */
export type WhenStored = (digest: Digest) => Promise<BlobPlace | undefined>;

export interface PullRequest {
  reference: Reference;
  /** Of one host, or of several that are tried in turn. */
  client: Pick<RegistryClient, 'manifest' | 'blob'>;
  store: PullStore;
  /** None: all that there are. */
  platforms: readonly Platform[];
  signal: AbortSignal;
  onResolved?(target: Descriptor): void;
  onBlob?(progress: BlobProgress): void;
  /** Works on each image while its blobs come in; the pull fails when it does. */
  onImage?(image: ImageManifest, whenStored: WhenStored, signal: AbortSignal): Promise<void>;
}

/** Layers fetched at a time: enough to fill a link, and few enough for a registry's limits. */
const PARALLEL = 3;

/**
 * Brings an image into a store: manifests from the registry, with the caller's own credentials, and each blob once for
 * all who want it at the same time. When it rejects, nothing of it is under way any more and no claim is held. What it
 * stored is kept by the store's lease alone: the caller names it.
 */
export async function pullImage(request: PullRequest): Promise<ImageTree> {
  const failed = new AbortController();
  const signal = AbortSignal.any([request.signal, failed.signal]);
  const tree = await fetchTree(request.client, request.reference, request.platforms, signal);
  request.onResolved?.(tree.target);
  const blobs = await linkAll({ ...request, signal }, tree);
  const work = [
    ...blobs.values().map(({ stored }) => stored),
    ...tree.images.map(async (image) => {
      const whenStored: WhenStored = (digest) => blobs.get(digest)!.stored;
      await request.onImage?.(image, whenStored, signal);
    }),
  ];
  for (const each of work) each.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(work);
  request.signal.throwIfAborted();
  // The first failure; those that it caused say no more than that.
  if (failed.signal.aborted) throw failed.signal.reason;
  return tree;
}

interface Wanted extends BlobToStore {
  parent: Descriptor | undefined;
  /** In hand already. */
  bytes: Buffer | undefined;
}

interface Coming extends Wanted {
  stored: Promise<BlobPlace | undefined>;
}

/** Links what can be linked in one call, and begins to fetch the rest. */
async function linkAll(request: PullRequest, tree: ImageTree): Promise<Map<Digest, Coming>> {
  const wanted = wantedOf(tree, sourceLabels(request.reference));
  announce(request, [...wanted.values()]);
  const linked = await request.store.link([...wanted.values()], request.signal);
  const turns = new Turns(PARALLEL);
  const coming = new Map<Digest, Coming>();
  for (const { digest, isLinked, place } of linked) {
    const one = wanted.get(digest)!;
    if (isLinked) report(request, one, 'exists', one.descriptor.size);
    const stored = isLinked ? Promise.resolve(place) : turns.run(() => bring(request, one));
    coming.set(digest, { ...one, stored });
  }
  return coming;
}

async function bring(request: PullRequest, one: Wanted): Promise<BlobPlace | undefined> {
  const { store, client, reference, signal } = request;
  const { descriptor, bytes } = one;
  signal.throwIfAborted();
  const place = bytes
    ? await keepDocument(store, one, bytes, signal)
    : await fetchBlob({
        blob: one,
        store,
        open: (offsetBytes, until) => client.blob(reference, descriptor, { offsetBytes, signal: until }),
        signal,
        onStatus: (status, offsetBytes) => report(request, one, status, offsetBytes),
      });
  report(request, one, 'done', descriptor.size);
  return place;
}

async function keepDocument(
  store: PullStore,
  blob: BlobToStore,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<undefined> {
  const ref = refKey(blob.descriptor);
  try {
    await store.ingest(ref, blob, (offsetBytes) => once(bytes.subarray(offsetBytes)), signal);
  } catch (error) {
    if (signal.aborted) await store.forget(ref);
    throw error;
  }
}

/** Blobs in the order in which they are wanted: documents are small, configs tell how to unpack, lower layers first. */
function wantedOf({ target, documents, images }: ImageTree, source: Labels): Map<Digest, Wanted> {
  const wanted = new Map<Digest, Wanted>();
  const add = (descriptor: Descriptor, more: Omit<Wanted, 'descriptor'>) => {
    if (!wanted.has(descriptor.digest)) wanted.set(descriptor.digest, { descriptor, ...more });
  };
  for (const { descriptor, bytes, labels } of documents) {
    const parent = descriptor.digest === target.digest ? undefined : target;
    add(descriptor, { labels: { ...source, ...labels }, parent, bytes });
  }
  for (const { descriptor: parent, manifest } of images) {
    add(manifest.config, { labels: source, parent, bytes: undefined });
    for (const layer of manifest.layers) add(layer, { labels: source, parent, bytes: undefined });
  }
  return wanted;
}

/** Parents first: displays draw a tree. */
function announce(request: PullRequest, wanted: readonly Wanted[]): void {
  const documents = wanted.filter(({ bytes }) => bytes !== undefined).reverse();
  const leaves = wanted.filter(({ bytes }) => bytes === undefined);
  for (const one of [...documents, ...leaves]) report(request, one, 'waiting', 0);
}

function report({ onBlob }: PullRequest, one: Wanted, status: BlobStatus, offsetBytes: number): void {
  onBlob?.({ descriptor: one.descriptor, parent: one.parent, status, offsetBytes });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Layers of an image that hold files, lowest first; images hold other things too, attestations for one. */
export function fileLayers({ manifest }: ImageManifest): Descriptor[] {
  return manifest.layers.filter(({ mediaType }) => isLayerType(mediaType));
}
