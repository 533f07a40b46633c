import { invalidArgument } from '@longshore/errors';
import { type Descriptor, digestOf, type Manifest, MediaType } from '@longshore/oci';
import { diffIdsOf } from '@longshore/transfer';
import { compressionOf } from '../archive/decompressed.ts';
import { type ArchivedImage, nameInFull } from './archived-image.ts';
import type { ImportCall, ImportedArchive } from './import-blobs.ts';
import { MAX_DOCUMENT_BYTES } from './stored-tree.ts';

/** More than anything can stack, and than anybody saves at once. */
const MAX_LIST = 1_000;
const MAGIC_BYTES = 4;

const LAYER_TYPES = {
  none: MediaType.DockerLayer,
  gzip: MediaType.DockerLayerGzip,
  zstd: MediaType.DockerLayerZstd,
} as const;

/** As `docker save` writes it. */
interface Entry {
  config: string;
  repoTags: readonly string[];
  layers: readonly string[];
}

/**
 * Makes manifests of what a manifest.json says, and stores them. Throws InvalidArgument for one that is malformed or names what the archive
 * does not have. Source: moby image/spec/v1.2.md; containerd core/images/archive/importer.go.
 */
export async function dockerImages(
  document: Buffer,
  archive: ImportedArchive,
  call: ImportCall,
): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  for (const entry of parseEntries(document)) {
    const bytes = Buffer.from(JSON.stringify(await manifestOf(entry, archive, call)));
    const target = { mediaType: MediaType.DockerManifest, digest: digestOf(bytes), size: bytes.length };
    const { digest: expected, size: sizeBytes } = target;
    const source = (async function* () {
      yield bytes;
    })();
    await call.content.write(source, { ref: `import-${expected}`, sizeBytes, expected }, call.options);
    images.push({ target, names: entry.repoTags.map(nameInFull) });
  }
  return images;
}

async function manifestOf(
  { config, layers }: Entry,
  archive: ImportedArchive,
  call: ImportCall,
): Promise<Manifest> {
  const { content, options } = call;
  const configBlob = descriptorOf(config, MediaType.DockerConfig, archive);
  const bytes = await content.readWhole(configBlob, MAX_DOCUMENT_BYTES, options);
  const diffIds = diffIdsOf(configBlob.digest, bytes);
  if (diffIds.length !== layers.length) {
    throw invalidArgument(
      `archive has ${layers.length} layers for ${diffIds.length} of ${JSON.stringify(config)}`,
    );
  }
  const blobs: Descriptor[] = [];
  for (const name of layers) {
    const { digest, size } = descriptorOf(name, '', archive);
    let head = Buffer.alloc(0);
    for await (const chunk of content.read(digest, { sizeBytes: MAGIC_BYTES }, options))
      head = Buffer.concat([head, chunk]);
    blobs.push({ mediaType: LAYER_TYPES[compressionOf(head)], digest, size });
  }
  return { schemaVersion: 2, mediaType: MediaType.DockerManifest, config: configBlob, layers: blobs };
}

function descriptorOf(name: string, mediaType: string, { blobs }: ImportedArchive): Descriptor {
  const blob = blobs.get(name);
  if (blob) return { mediaType, digest: blob.digest, size: blob.sizeBytes };
  throw invalidArgument(`archive lacks ${JSON.stringify(name)}, which its manifest.json names`);
}

function parseEntries(document: Buffer): Entry[] {
  const entries: unknown = parseJson(document);
  if (!Array.isArray(entries) || entries.length > MAX_LIST) throw malformed();
  return entries.map((entry: unknown) => {
    const { Config, RepoTags, Layers } = Object(entry) as Record<string, unknown>;
    if (typeof Config !== 'string') throw malformed();
    return { config: Config, repoTags: stringsOf(RepoTags ?? []), layers: stringsOf(Layers ?? []) };
  });
}

function parseJson(document: Buffer): unknown {
  try {
    return JSON.parse(document.toString());
  } catch {
    throw malformed();
  }
}

function stringsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.length <= MAX_LIST && value.every((each) => typeof each === 'string'))
    return value;
  throw malformed();
}

function malformed() {
  return invalidArgument('archive has a malformed manifest.json');
}
