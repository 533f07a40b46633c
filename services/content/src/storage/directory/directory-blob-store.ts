import { mkdir, open, readdir, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unavailable } from '@longshore/errors';
import { algorithmOf, encodedOf, isDigest } from '@longshore/oci';
import type {
  BlobName,
  BlobPlace,
  BlobReader,
  BlobStore,
  PartWriter,
  StoredBytes,
} from '../../domain/blob-store.ts';
import { FileBlobReader } from './file-blob-reader.ts';
import { errnoOf, fromFileError } from './file-error.ts';
import { FilePartWriter } from './file-part-writer.ts';

/** Bytes of an earlier writer are taken over in pieces of this size. */
const COPY_BYTES = 1024 * 1024;

/**
 * Bytes in a directory of one file system:
 * `blobs/<algorithm>/<first two hex>/<hex>/<generation>` and `ingests/<ingest uid>/<epoch>`.
 */
export class DirectoryBlobStore implements BlobStore {
  readonly #root: string;
  #made: Promise<unknown> | undefined;

  /**
   * `root` is made on first use, and never again: when it is not there later, as with a file system that is away, all is
   * Unavailable, and nothing is written in its place. Several instances may share it.
   */
  constructor(root: string) {
    this.#root = root;
  }

  async openWriter(
    ingest: string,
    epoch: bigint,
    keepBytes: number,
    seen: (chunk: Uint8Array) => void,
  ): Promise<PartWriter> {
    const directory = this.#ingestPath(ingest);
    try {
      await this.#make();
      await mkdir(directory, { mode: 0o700 }).catch(unless('EEXIST'));
      const path = join(directory, String(epoch));
      const file = await open(path, 'wx+', 0o600);
      const writer = new FilePartWriter(file, path, {
        pathOf: (name) => this.#blobPath(name),
        translate: (error) => this.#translate(error, `bytes of ingest ${ingest}`),
      });
      if (epoch > 1n) {
        await takeOver(directory, epoch, keepBytes, writer, seen).catch(async (error) => {
          await writer.close().catch(() => undefined);
          await rm(path, { force: true });
          throw error;
        });
      }
      return writer;
    } catch (error) {
      throw await this.#translate(error, `bytes of ingest ${ingest}`);
    }
  }

  async open(name: BlobName): Promise<BlobReader> {
    try {
      await this.#make();
      return await FileBlobReader.open(this.#blobPath(name));
    } catch (error) {
      throw await this.#translate(error, `bytes of content ${name.digest}`);
    }
  }

  async locate(name: BlobName): Promise<BlobPlace> {
    return { kind: 'file', path: this.#blobPath(name) };
  }

  async removeBlob(name: BlobName): Promise<void> {
    const path = this.#blobPath(name);
    // Bytes of a store that is away are not gone.
    await this.#expectThere();
    await unlink(path).catch(unless('ENOENT'));
    await rmdir(dirname(path)).catch(unless('ENOENT', 'ENOTEMPTY'));
  }

  async removeIngest(ingest: string): Promise<void> {
    const path = this.#ingestPath(ingest);
    await this.#expectThere();
    // Most have had one writer.
    await unlink(join(path, '1')).catch(unless('ENOENT'));
    const isGone = await rmdir(path).then(() => true, unless('ENOENT', 'ENOTEMPTY'));
    if (!isGone) await rm(path, { recursive: true, force: true });
  }

  async *list(): AsyncIterable<StoredBytes> {
    for (const ingest of await entries(join(this.#root, 'ingests'))) {
      yield* stored(this.#ingestPath(ingest), { digest: undefined, generation: ingest });
    }
    for (const algorithm of await entries(join(this.#root, 'blobs'))) {
      for (const shard of await entries(join(this.#root, 'blobs', algorithm))) {
        for (const hex of await entries(join(this.#root, 'blobs', algorithm, shard))) {
          const digest = `${algorithm}:${hex}`;
          if (isDigest(digest)) yield* this.#listGenerations(digest);
        }
      }
    }
  }

  /** A blob appears by one rename. */
  async discardUnfinished(): Promise<void> {}

  async *#listGenerations(digest: BlobName['digest']): AsyncIterable<StoredBytes> {
    const directory = dirname(this.#blobPath({ digest, generation: '-' }));
    for (const generation of await entries(directory)) {
      yield* stored(join(directory, generation), { digest, generation });
    }
  }

  async #make(): Promise<void> {
    this.#made ??= mkdir(join(this.#root, 'ingests'), { recursive: true, mode: 0o700 });
    await this.#made.catch((error) => {
      this.#made = undefined;
      throw error;
    });
  }

  /** Throws Unavailable. */
  async #expectThere(): Promise<void> {
    try {
      await this.#make();
      await stat(join(this.#root, 'ingests'));
    } catch (error) {
      throw unavailable(`blob store ${JSON.stringify(this.#root)}: is not there`, { cause: error });
    }
  }

  async #translate(error: unknown, subject: string): Promise<unknown> {
    if (errnoOf(error) !== 'ENOENT') return fromFileError(error, subject);
    return await this.#expectThere().then(
      () => fromFileError(error, subject),
      (away) => away,
    );
  }

  #blobPath({ digest, generation }: BlobName): string {
    const hex = encodedOf(digest);
    return join(this.#root, 'blobs', algorithmOf(digest), hex.slice(0, 2), hex, generation);
  }

  #ingestPath(ingest: string): string {
    return join(this.#root, 'ingests', ingest);
  }
}

/** Copies what earlier writers have left: sharing its file would let it append still. */
async function takeOver(
  directory: string,
  epoch: bigint,
  keepBytes: number,
  writer: PartWriter,
  seen: (chunk: Uint8Array) => void,
): Promise<void> {
  const epochs = (await entries(directory)).filter((other) => /^\d+$/.test(other));
  const earlier = epochs.filter((other) => BigInt(other) < epoch);
  const files = await Promise.all(
    earlier.map(async (other) => {
      const path = join(directory, other);
      return { path, epoch: BigInt(other), sizeBytes: (await stat(path)).size };
    }),
  );
  // A file goes once the next writer has copied it: what lies beside one was left by a copy that was not finished.
  files.sort((a, b) => Number(a.epoch - b.epoch));
  const whole = files.find(({ sizeBytes }) => sizeBytes >= keepBytes);
  const source = whole ?? files.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
  if (source && keepBytes > 0) {
    await copyPrefix(source.path, keepBytes, writer, seen);
    await writer.flush();
  }
  await Promise.all(files.map(({ path }) => rm(path, { force: true })));
}

async function copyPrefix(
  path: string,
  keepBytes: number,
  writer: PartWriter,
  seen: (chunk: Uint8Array) => void,
): Promise<void> {
  await using file = await open(path, 'r');
  // The same for all pieces: buffers that are thrown away stay for long.
  const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, keepBytes));
  while (writer.sizeBytes < keepBytes) {
    const length = Math.min(buffer.byteLength, keepBytes - writer.sizeBytes);
    const { bytesRead } = await file.read(buffer, 0, length, writer.sizeBytes);
    if (bytesRead === 0) return;
    const chunk = buffer.subarray(0, bytesRead);
    const written = writer.write(chunk);
    seen(chunk);
    await written;
  }
}

async function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  });
}

/** Nothing for what has gone since its directory was read. */
async function* stored(path: string, name: Omit<StoredBytes, 'changedAt'>): AsyncIterable<StoredBytes> {
  const stats = await stat(path).catch(unless('ENOENT'));
  if (stats) yield { ...name, changedAt: stats.ctime };
}

function unless(...expected: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!expected.includes(errnoOf(error) ?? '')) throw error;
  };
}
