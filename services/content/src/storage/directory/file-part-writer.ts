import { access, type FileHandle, link, mkdir, open, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlobName, PartWriter } from '../../domain/blob-store.ts';
import { errnoOf } from './file-error.ts';

/** How often publishing tries again when a removal takes the directory away in between. */
const PUBLISH_ATTEMPTS = 5;

/** How file systems say that their files have one name. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']);

/** The store that a file is in. */
export interface PartHome {
  pathOf(name: BlobName): string;
  /** A file system's error in longshore's kinds. */
  translate(error: unknown): Promise<unknown>;
}

/** One file that grows, and becomes the blob by getting its name too. */
export class FilePartWriter implements PartWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #home: PartHome;
  #sizeBytes = 0;
  #syncing: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(file: FileHandle, path: string, home: PartHome) {
    this.#file = file;
    this.#path = path;
    this.#home = home;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.byteLength; ) {
      const position = this.#sizeBytes;
      const { bytesWritten } = await this.#translated(
        this.#file.write(data, done, data.byteLength - done, position),
      );
      done += bytesWritten;
      this.#sizeBytes = position + bytesWritten;
    }
  }

  async flush(): Promise<number> {
    const sizeBytes = this.#sizeBytes;
    if (this.#isClosed) return sizeBytes;
    const sync = this.#file.datasync();
    this.#syncing = sync.catch(() => undefined);
    await this.#translated(sync);
    return sizeBytes;
  }

  async truncate(): Promise<void> {
    await this.#translated(this.#file.truncate(0));
    this.#sizeBytes = 0;
  }

  async publish(name: BlobName): Promise<void> {
    await this.close();
    await this.#translated(this.#linkTo(this.#home.pathOf(name)));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    const sync = this.flush();
    this.#isClosed = true;
    try {
      await sync;
    } finally {
      await this.#syncing;
      await this.#file.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What was received stays where it is, for the next writer, until the ingest is removed: the commit may fail. */
  async #linkTo(path: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const directory = dirname(path);
        // Before anything is made for it: in a store that is away it would be made in its place.
        await access(this.#path);
        const created = await mkdir(directory, { recursive: true, mode: 0o700 });
        await nameAlso(this.#path, path);
        await syncUpwards(directory, created);
        return;
      } catch (error) {
        if (errnoOf(error) === 'ENOENT' && attempt < PUBLISH_ATTEMPTS) continue;
        // Fails when others have their bytes there, which is as it should be.
        await rmdir(dirname(path)).catch(() => undefined);
        throw error;
      }
    }
  }

  async #translated<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw await this.#home.translate(error);
    }
  }
}

/**
 * Gives a file a second name. One that has it is what an earlier attempt of the same ingest has left: as good, as the name says its
 * bytes. It may be committed by now, so it is not taken away.
 */
async function nameAlso(path: string, name: string): Promise<void> {
  try {
    await link(path, name);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') {
      const [known, own] = await Promise.all([stat(name), stat(path)]);
      if (known.size === own.size) return;
      await unlink(name);
      await link(path, name);
    } else if (WITHOUT_LINKS.has(errnoOf(error) ?? '')) await rename(path, name);
    else throw error;
  }
}

/** A name is durable when its directory is: syncs `directory` and those above it, up to the parent of `created`. */
async function syncUpwards(directory: string, created: string | undefined): Promise<void> {
  const top = created === undefined ? directory : dirname(created);
  const directories = [directory];
  for (let next = directory; next !== top; ) {
    next = dirname(next);
    directories.push(next);
  }
  await Promise.all(directories.map(syncDirectory));
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
