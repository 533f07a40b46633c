import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, type Digest, encodedOf, isDigest } from '@longshore/oci';
import { Verifier } from '@longshore/registry';

/** A blob of the cache, which stays in it until this is closed. */
export interface CachedBlob {
  readonly path: string;
  close(): void;
}

/** Bytes of a blob from the start, right or wrong; it is to end soon after the signal aborts. */
export type FetchBlob = (signal: AbortSignal) => AsyncIterable<Buffer>;

interface Entry {
  sizeBytes: number;
  users: number;
}

/** A fetch that any number wait for. */
interface Filling {
  waiters: number;
  giveUp: AbortController;
  done: Promise<Entry | undefined>;
}

const INCOMING = 'incoming';

/**
 * Blobs of this node that were read from elsewhere: `<directory>/<algorithm>/<hex>`, each verified before it has that
 * name. Bounded: those that were not used for longest go first, and never one that is in use. What does not fit beside
 * those is not kept. It survives a restart, and may be deleted while the agent is down.
 */
export class BlobCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #entries = new Map<Digest, Entry>();
  readonly #filling = new Map<Digest, Filling>();
  /** Of entries, and of those on their way. */
  #bytes = 0;

  private constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  static async open(directory: string, maxBytes: number): Promise<BlobCache> {
    await rm(join(directory, INCOMING), { recursive: true, force: true });
    await mkdir(join(directory, INCOMING), { recursive: true, mode: 0o700 });
    const cache = new BlobCache(directory, maxBytes);
    for (const { digest, sizeBytes } of await filesIn(directory)) {
      cache.#entries.set(digest, { sizeBytes, users: 0 });
      cache.#bytes += sizeBytes;
    }
    await cache.#makeRoom(0);
    return cache;
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  /** The blob, if it is here. */
  find(digest: Digest): CachedBlob | undefined {
    const entry = this.#entries.get(digest);
    if (!entry) return undefined;
    entry.users += 1;
    return this.#handle(digest, entry);
  }

  /**
   * The blob, fetched unless it is here; several who ask for it at the same time fetch it once. `undefined` when it does
   * not fit: then nothing was fetched. Throws what the fetch does, DataLoss for wrong bytes.
   */
  async get(
    digest: Digest,
    sizeBytes: number,
    fetch: FetchBlob,
    signal: AbortSignal,
  ): Promise<CachedBlob | undefined> {
    const found = this.find(digest);
    if (found) return found;
    const filling = this.#filling.get(digest) ?? this.#fill(digest, sizeBytes, fetch);
    filling.waiters += 1;
    const entry = await orAborted(filling.done, signal, () => this.#leave(digest, filling));
    return entry && this.#handle(digest, entry);
  }

  /** Passes a blob's bytes on, and keeps them if they turn out to be whole and right and there is room. */
  async *keep(digest: Digest, sizeBytes: number, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const isKnown = this.#entries.has(digest) || this.#filling.has(digest);
    if (isKnown || !(await this.#makeRoom(sizeBytes))) {
      yield* bytes;
      return;
    }
    const incoming = await Incoming.open(this.#directory, digest, sizeBytes).catch(() => undefined);
    let isWhole = false;
    try {
      for await (const chunk of bytes) {
        // A disk that is full is no trouble of those who read.
        await incoming?.write(chunk).catch(() => incoming.abandon());
        yield chunk;
      }
      isWhole = (await incoming?.finish().catch(() => false)) ?? false;
    } finally {
      if (isWhole && !this.#entries.has(digest)) this.#entries.set(digest, { sizeBytes, users: 0 });
      else this.#bytes -= sizeBytes;
      await incoming?.abandon();
    }
  }

  /** The file of a blob turned out to be wrong: whoever asks for the blob from here on gets it fetched anew. */
  async forget(digest: Digest): Promise<void> {
    const entry = this.#entries.get(digest);
    if (!entry) return;
    this.#entries.delete(digest);
    this.#bytes -= entry.sizeBytes;
    await rm(this.#pathOf(digest), { force: true });
  }

  #fill(digest: Digest, sizeBytes: number, fetch: FetchBlob): Filling {
    const giveUp = new AbortController();
    const filling: Filling = { waiters: 0, giveUp, done: Promise.resolve(undefined) };
    const fetched = this.#fetch(digest, sizeBytes, fetch, giveUp.signal);
    filling.done = fetched
      .then((isHere) => {
        if (!isHere) return undefined;
        const known = this.#entries.get(digest);
        // Another has brought it in the meantime, and counted its bytes.
        if (known) this.#bytes -= sizeBytes;
        const entry = known ?? { sizeBytes, users: 0 };
        entry.users += filling.waiters;
        this.#entries.set(digest, entry);
        return entry;
      })
      .finally(() => this.#drop(digest, filling));
    this.#filling.set(digest, filling);
    return filling;
  }

  async #fetch(digest: Digest, sizeBytes: number, fetch: FetchBlob, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#makeRoom(sizeBytes))) return false;
    let incoming: Incoming | undefined;
    try {
      incoming = await Incoming.open(this.#directory, digest, sizeBytes);
      for await (const chunk of fetch(signal)) await incoming.write(chunk);
      await incoming.finish();
      return true;
    } catch (error) {
      this.#bytes -= sizeBytes;
      if (isFull(error)) return false;
      throw error;
    } finally {
      await incoming?.abandon();
    }
  }

  /** Takes the room for a new blob; false when it cannot be had. */
  async #makeRoom(sizeBytes: number): Promise<boolean> {
    if (sizeBytes > this.#maxBytes) return false;
    const victims: Digest[] = [];
    let bytes = this.#bytes + sizeBytes;
    for (const [digest, entry] of this.#entries) {
      if (bytes <= this.#maxBytes) break;
      if (entry.users > 0) continue;
      bytes -= entry.sizeBytes;
      victims.push(digest);
    }
    if (bytes > this.#maxBytes) return false;
    this.#bytes = bytes;
    for (const digest of victims) this.#entries.delete(digest);
    await Promise.all(victims.map((digest) => rm(this.#pathOf(digest), { force: true })));
    return true;
  }

  #handle(digest: Digest, entry: Entry): CachedBlob {
    const path = this.#pathOf(digest);
    // The last to be used goes last, also after a restart.
    if (this.#entries.get(digest) === entry) {
      this.#entries.delete(digest);
      this.#entries.set(digest, entry);
    }
    const now = new Date();
    void utimes(path, now, now).catch(() => undefined);
    let isOpen = true;
    return {
      path,
      close: () => {
        if (isOpen) entry.users -= 1;
        isOpen = false;
      },
    };
  }

  #leave(digest: Digest, filling: Filling): void {
    filling.waiters -= 1;
    if (filling.waiters > 0) return;
    filling.giveUp.abort();
    // Who comes now is not to wait for a fetch that is given up.
    this.#drop(digest, filling);
  }

  #drop(digest: Digest, filling: Filling): void {
    if (this.#filling.get(digest) === filling) this.#filling.delete(digest);
  }

  #pathOf(digest: Digest): string {
    return pathOf(this.#directory, digest);
  }
}

/** A blob on its way in, under a name that nobody looks at. */
class Incoming {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #finalPath: string;
  readonly #verifier: Verifier;
  #isOver = false;

  private constructor(file: FileHandle, path: string, finalPath: string, verifier: Verifier) {
    this.#file = file;
    this.#path = path;
    this.#finalPath = finalPath;
    this.#verifier = verifier;
  }

  static async open(directory: string, digest: Digest, sizeBytes: number): Promise<Incoming> {
    const path = join(directory, INCOMING, randomBytes(8).toString('hex'));
    const file = await open(path, 'wx', 0o600);
    const verifier = new Verifier('the control plane', { digest, sizeBytes });
    return new Incoming(file, path, pathOf(directory, digest), verifier);
  }

  async write(chunk: Buffer): Promise<void> {
    if (this.#isOver) return;
    this.#verifier.push(chunk);
    await this.#file.writeFile(chunk);
  }

  /** Gives it its name, once it is on disk. */
  async finish(): Promise<boolean> {
    if (this.#isOver) return false;
    this.#verifier.finish();
    await this.#file.datasync();
    await mkdir(join(this.#finalPath, '..'), { recursive: true, mode: 0o700 });
    await rename(this.#path, this.#finalPath);
    await this.#end();
    return true;
  }

  async abandon(): Promise<void> {
    if (this.#isOver) return;
    await this.#end();
    await rm(this.#path, { force: true });
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#file.close();
  }
}

function pathOf(directory: string, digest: Digest): string {
  return join(directory, algorithmOf(digest), encodedOf(digest));
}

/** Least recently used first. */
async function filesIn(directory: string): Promise<{ digest: Digest; sizeBytes: number }[]> {
  const found = [];
  for (const algorithm of await readdir(directory)) {
    if (algorithm === INCOMING) continue;
    for (const hex of await readdir(join(directory, algorithm))) {
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest)) continue;
      const { size, mtimeMs } = await stat(join(directory, algorithm, hex));
      found.push({ digest, sizeBytes: size, mtimeMs });
    }
  }
  return found.sort((a, b) => a.mtimeMs - b.mtimeMs);
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT'].includes(String(error.code));
}

/** Rejects with the signal's reason once it aborts, after `onAbort`. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal, onAbort: () => void): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => {
    onAbort();
    reject(signal.reason);
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  // A fetch that everyone has left fails without a listener.
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
