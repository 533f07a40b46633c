import { invalidArgument } from '@longshore/errors';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { PlainStore, recordImage } from '@longshore/transfer';
import { underLease } from '../leases/work-lease.ts';
import { adoptContent } from './adopt-content.ts';
import type { ArchivedImage } from './archived-image.ts';
import { dockerImages } from './docker-archive.ts';
import { Member } from './image-archive.ts';
import type { ImageParts } from './image-parts.ts';
import { type ImportCall, type ImportedArchive, importBlobs } from './import-blobs.ts';
import { layoutImages } from './layout-archive.ts';
import { type OnProgress, ProgressTracker } from './progress.ts';

export interface ImportOptions {
  /** Of images that the archive gives only a tag, or no name at all; default `import-<date>`. */
  baseName?: string | undefined;
  onProgress?: OnProgress | undefined;
  /** When it aborts nothing is recorded, and no ingest or lease is left. */
  signal?: AbortSignal | undefined;
}

/**
 * Stores the images of an archive, an OCI layout or what `docker save` makes, plain or compressed, and records them; a name that is taken
 * means the new image from then on. The archive is read once, from its first byte to its last. Answers the names. Throws InvalidArgument,
 * with nothing recorded, for an archive that is malformed, cut, or lacks something.
 */
export async function importImages(
  parts: ImageParts,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<string[]> {
  const { signal = new AbortController().signal } = options;
  signal.throwIfAborted();
  const { content, services } = parts;
  using tracker = new ProgressTracker('', options.onProgress);
  tracker.phase('transferring');
  const names = await underLease(services, async (leased) => {
    const call = { content, tracker, options: { ...leased, signal } };
    const images = namedImages(await imagesOf(source, call, baseNameOf(options)), baseNameOf(options));
    const store = new PlainStore(services.service(Content), leased);
    for (const { target } of images) await adoptContent({ content, store, options: leased, signal }, target);
    tracker.phase('recording');
    for (const { name, target } of images) {
      await recordImage(services.service(Images), name, target, {}, call.options);
    }
    return images.map(({ name }) => name);
  });
  tracker.phase('done');
  return names;
}

async function imagesOf(
  source: AsyncIterable<Uint8Array>,
  call: ImportCall,
  baseName: string,
): Promise<ArchivedImage[]> {
  const archive: ImportedArchive = await importBlobs(source, call);
  const { documents } = archive;
  const [layout, index, docker] = [Member.Layout, Member.Index, Member.DockerManifest].map((name) =>
    documents.get(name),
  );
  // Newer `docker save` writes both, and the layout says more.
  if (layout && index) return layoutImages(layout, index, baseName);
  if (docker) return dockerImages(docker, archive, call);
  throw invalidArgument('archive is neither an OCI layout nor one of docker');
}

function namedImages(images: readonly ArchivedImage[], baseName: string) {
  if (images.length === 0) throw invalidArgument('archive has no images');
  return images.flatMap(({ target, names }) => {
    const known = names.length > 0 ? names : [`${baseName}@${target.digest}`];
    return known.map((name) => ({ name, target }));
  });
}

function baseNameOf({ baseName }: ImportOptions): string {
  return baseName ?? `import-${new Date().toISOString().slice(0, 10)}`;
}
