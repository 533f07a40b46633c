import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import { LocalFile } from './local-file.ts';

/** A path is asked for again after this time: the blob may be elsewhere by then, or in quarantine. */
const LOCATED_MS = 60_000;
/** The same when the content service could not say. */
const RETRY_MS = 5_000;
/** Open files keep the bytes of blobs that were removed. */
const IDLE_MS = 60_000;
const MAX_FILES = 32;

/** The content service, as far as it is asked here. */
export interface FileLocator {
  /** Where it has a blob: the path of a file, or `''`. Throws what the service does. */
  locate(namespace: string, digest: Digest): Promise<string>;
  /** Has it look at a blob whose file was found to be wrong. Never rejects. */
  doubt(namespace: string, digest: Digest): Promise<void>;
}

interface Entry {
  /** Undefined: not a file of this host. */
  file: LocalFile | undefined;
  /** When its place must be asked for anew, by `performance.now()`; as the rest here. */
  goodUntil: number;
  usedAt: number;
}

/** Large blobs that the content service keeps in files which this node can read: its reads need not pass through it. */
export class LocalFiles implements AsyncDisposable {
  readonly #locator: FileLocator;
  readonly #log: Logger;
  /** The last one that was used is the last. */
  readonly #entries = new Map<Digest, Entry>();
  readonly #locating = new Map<Digest, Promise<LocalFile | undefined>>();
  readonly #sweeping: NodeJS.Timeout;

  constructor(locator: FileLocator, log: Logger) {
    this.#locator = locator;
    this.#log = log;
    this.#sweeping = setInterval(() => this.#closeIdle(), IDLE_MS).unref();
  }

  /** The blob's file, for a namespace that holds it; undefined when there is none here, and its service is to be asked. */
  find(
    namespace: string,
    digest: Digest,
    sizeBytes: number,
  ): LocalFile | Promise<LocalFile | undefined> | undefined {
    const entry = this.#entries.get(digest);
    const now = performance.now();
    if (!entry || now > entry.goodUntil) return this.#renew(namespace, digest, sizeBytes);
    entry.usedAt = now;
    this.#entries.delete(digest);
    this.#entries.set(digest, entry);
    return entry.file;
  }

  /** The file is not what it should be: the service is told, and for some time asked for all reads. */
  async reject(namespace: string, digest: Digest): Promise<void> {
    this.#log.error({ digest }, 'file of a blob cannot be read, or is not that blob');
    this.#put(digest, undefined, LOCATED_MS);
    await this.#locator.doubt(namespace, digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeping);
    await Promise.all([...this.#entries.values()].map(({ file }) => file?.close()));
    this.#entries.clear();
  }

  #renew(namespace: string, digest: Digest, sizeBytes: number): Promise<LocalFile | undefined> {
    let renewal = this.#locating.get(digest);
    if (!renewal) {
      renewal = this.#find(namespace, digest, sizeBytes).finally(() => this.#locating.delete(digest));
      this.#locating.set(digest, renewal);
    }
    return renewal;
  }

  async #find(namespace: string, digest: Digest, sizeBytes: number): Promise<LocalFile | undefined> {
    const known = this.#entries.get(digest)?.file;
    try {
      const path = await this.#locator.locate(namespace, digest);
      if (known && known.path === path) return this.#put(digest, known, LOCATED_MS);
      const file = path === '' ? undefined : await LocalFile.open(path, digest, sizeBytes);
      return this.#put(digest, file, LOCATED_MS);
    } catch (error) {
      // The bytes of a blob do not change: while nobody can say where they are, they are read where they were.
      const isAway = isKind(error, 'Unavailable', 'DeadlineExceeded');
      this.#log.debug({ digest, error: messageOf(error) }, 'blob was not located');
      return this.#put(digest, isAway ? known : undefined, RETRY_MS);
    }
  }

  #put(digest: Digest, file: LocalFile | undefined, goodForMs: number): LocalFile | undefined {
    const old = this.#entries.get(digest);
    if (old?.file !== file) void old?.file?.close();
    const now = performance.now();
    this.#entries.delete(digest);
    this.#entries.set(digest, { file, goodUntil: now + goodForMs, usedAt: now });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_FILES) break;
      this.#drop(oldest);
    }
    return file;
  }

  #closeIdle(): void {
    const before = performance.now() - IDLE_MS;
    for (const [digest, { usedAt }] of this.#entries) if (usedAt < before) this.#drop(digest);
  }

  #drop(digest: Digest): void {
    void this.#entries.get(digest)?.file?.close();
    this.#entries.delete(digest);
  }
}
