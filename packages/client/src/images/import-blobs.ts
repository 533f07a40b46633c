import { randomUUID } from 'node:crypto';
import { invalidArgument } from '@longshore/errors';
import { type Digest, isDigest, parseDigest } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import { type ArchiveEntry, archiveEntries } from '../archive/archive-entries.ts';
import { linkedName } from '../archive/clean-name.ts';
import type { ContentStore } from '../content/content-store.ts';
import { Member } from './image-archive.ts';
import type { ProgressTracker } from './progress.ts';
import { MAX_DOCUMENT_BYTES } from './stored-tree.ts';

export interface StoredMember {
  digest: Digest;
  sizeBytes: number;
}

/** What an archive of images held: its few documents, and blobs, which are in the content store by now. */
export interface ImportedArchive {
  documents: ReadonlyMap<string, Buffer>;
  /** By the member's name; links count as what they stand for. */
  blobs: ReadonlyMap<string, StoredMember>;
}

export interface ImportCall {
  content: ContentStore;
  tracker: ProgressTracker;
  /** With the lease that keeps the blobs until something refers to them, and the signal. */
  options: CallOptions;
}

const DOCUMENTS: readonly string[] = Object.values(Member);
const BLOB = /^blobs\/([^/]+)\/([^/]+)$/;

/**
 * Stores every file of an archive as it comes, whose meaning the end of it may tell; what nothing refers to afterwards goes with the lease.
 * Throws InvalidArgument for an archive that is none, or whose blobs are not what their names say.
 */
export async function importBlobs(
  source: AsyncIterable<Uint8Array>,
  call: ImportCall,
): Promise<ImportedArchive> {
  const documents = new Map<string, Buffer>();
  const blobs = new Map<string, StoredMember>();
  const links = new Map<string, string>();
  const ingest = `import-${randomUUID()}`;
  for await (const entry of archiveEntries(source, call.options.signal)) {
    const { type, name } = entry;
    if (type === 'symlink' || type === 'link') {
      const target = type === 'link' ? entry.linkName : linkedName(name, entry.linkName);
      if (target !== undefined) links.set(name, target);
    } else if (type === 'file' && DOCUMENTS.includes(name)) {
      documents.set(name, await readDocument(entry));
    } else if (type === 'file') {
      blobs.set(name, await store(entry, `${ingest}-${blobs.size}`, call));
    }
  }
  for (const [name, target] of links) {
    const blob = blobs.get(target);
    if (blob && !blobs.has(name)) blobs.set(name, blob);
  }
  return { documents, blobs };
}

async function store(
  { name, sizeBytes, bytes }: ArchiveEntry,
  ref: string,
  { content, tracker, options }: ImportCall,
): Promise<StoredMember> {
  const expected = digestIn(name);
  const watched = async function* () {
    let offsetBytes = 0;
    for await (const chunk of bytes) {
      yield chunk;
      offsetBytes += chunk.length;
      if (expected)
        tracker.blob({ digest: expected, mediaType: '', size: sizeBytes }, 'transferring', offsetBytes);
    }
  };
  const stored = await content.write(watched(), { ref, sizeBytes, expected }, options);
  tracker.blob({ digest: stored.digest, mediaType: '', size: stored.sizeBytes }, 'done', stored.sizeBytes);
  return stored;
}

/** Of a blob that is named for its digest; others are called anything. */
function digestIn(name: string): Digest | undefined {
  const [, algorithm, encoded] = BLOB.exec(name) ?? [];
  if (algorithm === undefined) return undefined;
  const text = `${algorithm}:${encoded}`;
  if (!isDigest(text))
    throw invalidArgument(`archive has the blob ${JSON.stringify(text)}, which is no digest`);
  return parseDigest(text);
}

async function readDocument({ name, sizeBytes, bytes }: ArchiveEntry): Promise<Buffer> {
  if (sizeBytes > MAX_DOCUMENT_BYTES) {
    throw invalidArgument(`archive has ${name} of ${sizeBytes} bytes, more than ${MAX_DOCUMENT_BYTES}`);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}
