import { failedPrecondition, isKind, outOfRange, unavailable } from '@longshore/errors';
import { algorithmOf, type Digest, type DigestAlgorithm, Digester } from '@longshore/oci';
import type { BlobStore, PartWriter } from './blob-store.ts';
import type { Content } from './content.ts';
import type { CommitRequest, Ingest, Received } from './ingest.ts';

/** A linked blob is read in pieces of this size when a writer goes on behind it. */
const COPY_BYTES = 1024 * 1024;

/** What is durable of an ingest. */
export interface Progress {
  readonly uid: string;
  readonly epoch: bigint;
  readonly durableBytes: number;
}

/** What a writer needs of the records of ingests. */
export interface IngestRecords {
  reset(ingest: Ingest): Promise<void>;
  /** Answers the uids of those that are still the last writers of their ingests. */
  checkpoint(progress: readonly Progress[]): Promise<Set<string>>;
  release(ingest: Ingest, durableBytes: number): Promise<void>;
}

/** Makes content of what was received; says when the digest had another generation already. */
export type Committer = (
  ingest: Ingest,
  received: Received,
  request: CommitRequest,
) => Promise<{ created: Content | undefined; generation: string }>;

/**
 * The one writer of an ingest. A linked ingest has received everything from the start, without bytes of its own,
 * until something is written to it. Calls must not overlap, but for `flush`.
 */
export class IngestWriter {
  readonly ingest: Ingest;
  readonly #store: BlobStore;
  readonly #records: IngestRecords;
  readonly #commit: Committer;
  /** `undefined` while linked. */
  #part: PartWriter | undefined;
  #digester: Digester;
  #offsetBytes: number;
  #durableBytes: number;
  #updatedAt: Date;
  /** Counts how often the ingest began at zero: what an earlier flush says then means nothing. */
  #start = 0;
  #isLost = false;
  /** Committed, closed, or on the way there. */
  #isOver = false;
  #isDone = false;
  #closing: Promise<void> = Promise.resolve();

  private constructor(ingest: Ingest, store: BlobStore, records: IngestRecords, commit: Committer) {
    this.ingest = ingest;
    this.#store = store;
    this.#records = records;
    this.#commit = commit;
    this.#digester = new Digester();
    this.#offsetBytes = ingest.durableBytes;
    this.#durableBytes = ingest.durableBytes;
    this.#updatedAt = ingest.updatedAt;
  }

  /** Goes on where the last writer has stopped. */
  static async open(
    ingest: Ingest,
    algorithm: DigestAlgorithm,
    store: BlobStore,
    records: IngestRecords,
    commit: Committer,
  ): Promise<IngestWriter> {
    const writer = new IngestWriter(ingest, store, records, commit);
    writer.#digester = new Digester(algorithm);
    if (!ingest.linked) await writer.#openPart(ingest.durableBytes);
    return writer;
  }

  /** Bytes accepted; the next write goes there. */
  get offsetBytes(): number {
    return this.#offsetBytes;
  }

  get progress(): Progress {
    return { uid: this.ingest.uid, epoch: this.ingest.epoch, durableBytes: this.#durableBytes };
  }

  get updatedAt(): Date {
    return this.#updatedAt;
  }

  /** Whether it has been committed or closed: until then its lock must be kept, however long that takes. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Of what was accepted so far. */
  get digest(): Digest {
    return this.#part || !this.ingest.linked ? this.#digester.digest() : this.ingest.linked.digest;
  }

  /**
   * Appends at `offsetBytes`, or at zero, which forgets what was received before.
   * Throws OutOfRange for any other place.
   */
  async write(offsetBytes: number, data: Uint8Array): Promise<void> {
    this.#check();
    if (offsetBytes > 0 && offsetBytes !== this.#offsetBytes) {
      throw outOfRange(`write @${offsetBytes} must occur at current offset ${this.#offsetBytes}`);
    }
    if (offsetBytes === 0 && this.#offsetBytes > 0) await this.#truncate();
    if (data.byteLength === 0) return;
    const part = this.#part ?? (await this.#copyLinked());
    await this.#append(part, data);
    this.#updatedAt = new Date();
  }

  /** Makes durable what was accepted before the call. */
  async flush(): Promise<void> {
    const part = this.#part;
    const start = this.#start;
    if (!part || this.#isOver) return;
    const durable = await part.flush();
    if (start === this.#start) this.#durableBytes = durable;
  }

  /** Makes durable and records what was accepted before the call: a writer that opens the ref anew begins there. */
  async save(): Promise<void> {
    this.#check();
    if (this.#durableBytes === this.#offsetBytes) return;
    await this.flush();
    const current = await this.#records.checkpoint([this.progress]);
    if (!current.has(this.ingest.uid)) this.lose();
    this.#check();
  }

  /**
   * Makes content of what was received, and ends the writer. `undefined` when the scope holds it already. Throws
   * FailedPrecondition when size or digest differ from what is asked; the ingest then stays.
   */
  async commit(request: CommitRequest): Promise<Content | undefined> {
    this.#check();
    const { ref, linked } = this.ingest;
    const digest = this.digest;
    if (request.totalBytes !== 0 && request.totalBytes !== this.#offsetBytes) {
      const sizes = `${this.#offsetBytes} != ${request.totalBytes}`;
      throw failedPrecondition(`${JSON.stringify(ref)} failed size validation: ${sizes}`);
    }
    if (request.expected !== undefined && request.expected !== digest) {
      throw failedPrecondition(`unexpected commit digest ${digest}, expected ${request.expected}`);
    }
    this.#isOver = true;
    const sizeBytes = this.#offsetBytes;
    try {
      if (!this.#part && linked) return await this.#commitLinked({ ...linked, sizeBytes }, request);
      return await this.#publish({ digest, generation: this.ingest.uid, sizeBytes }, request);
    } finally {
      this.#isDone = true;
    }
  }

  /** Ends the writer, and keeps what was received for the next one. Ending twice is fine. */
  close(): Promise<void> {
    if (this.#isOver) return this.#closing;
    this.#isOver = true;
    this.#closing = this.#close().finally(() => {
      this.#isDone = true;
    });
    return this.#closing;
  }

  /** Another writer has taken over, or the ingest is gone: nothing more is accepted. */
  lose(): void {
    this.#isLost = true;
  }

  #check(): void {
    if (this.#isLost) throw lost(this.ingest);
    if (this.#isOver) throw failedPrecondition(`writer of ref ${this.ingest.ref} is closed`);
  }

  async #append(part: PartWriter, data: Uint8Array): Promise<void> {
    const written = part.write(data);
    this.#digester.update(data);
    await written;
    this.#offsetBytes += data.byteLength;
  }

  async #truncate(): Promise<void> {
    await this.#records.reset(this.ingest);
    this.#start += 1;
    this.#durableBytes = 0;
    this.#offsetBytes = 0;
    this.#digester = new Digester(this.#digester.algorithm);
    if (this.#part) await this.#part.truncate();
    else await this.#openPart(0);
  }

  async #openPart(keepBytes: number): Promise<PartWriter> {
    const { uid, epoch } = this.ingest;
    this.#part = await this.#store.openWriter(uid, epoch, keepBytes, (chunk) => this.#digester.update(chunk));
    this.#offsetBytes = this.#part.sizeBytes;
    this.#durableBytes = this.#part.sizeBytes;
    return this.#part;
  }

  /** Somebody writes behind a linked blob: from here on its bytes are the ingest's own. */
  async #copyLinked(): Promise<PartWriter> {
    const { linked, durableBytes } = this.ingest;
    if (linked) this.#digester = new Digester(algorithmOf(linked.digest));
    await using source = linked ? await this.#store.open(linked) : undefined;
    const part = await this.#openPart(0);
    while (source && this.#offsetBytes < durableBytes) {
      const length = Math.min(COPY_BYTES, durableBytes - this.#offsetBytes);
      await this.#append(part, await source.read(this.#offsetBytes, length));
    }
    await this.#records.reset(this.ingest);
    return part;
  }

  async #close(): Promise<void> {
    try {
      await this.#part?.close();
      this.#durableBytes = this.#offsetBytes;
    } finally {
      await this.#records.release(this.ingest, this.#durableBytes);
    }
  }

  async #commitLinked(linked: Received, request: CommitRequest): Promise<Content | undefined> {
    try {
      return (await this.#commit(this.ingest, linked, request)).created;
    } catch (error) {
      await this.#records.release(this.ingest, linked.sizeBytes).catch(() => undefined);
      throw error;
    }
  }

  async #publish(received: Received, request: CommitRequest): Promise<Content | undefined> {
    try {
      await this.#part?.publish(received).catch((error) => {
        throw isKind(error, 'NotFound') ? lost(this.ingest, error) : error;
      });
      return await this.#commitPublished(received, request);
    } catch (error) {
      // What goes wrong here matters less than the error at hand: locks run out. The next writer has what is there of the bytes.
      await this.#records.release(this.ingest, received.sizeBytes).catch(() => undefined);
      throw error;
    }
  }

  async #commitPublished(received: Received, request: CommitRequest): Promise<Content | undefined> {
    const { created, generation } = await this.#commit(this.ingest, received, request).catch(
      async (error) => {
        // Without its lease the ingest has gone. Else the next writer may commit what was published, under the same name, so a
        // removal now could come too late; strays are found.
        if (isKind(error, 'NotFound')) await this.#store.removeBlob(received).catch(() => undefined);
        throw error;
      },
    );
    try {
      // The digest was stored already, and the content has that generation: these bytes have no record.
      if (generation !== received.generation) await this.#store.removeBlob(received);
      await this.#store.removeIngest(this.ingest.uid);
    } catch {
      // It is committed all the same. Releasing what is gone buries its bytes.
      await this.#records.release(this.ingest, received.sizeBytes).catch(() => undefined);
    }
    return created;
  }
}

/** The caller may open the ref anew. */
export function lost({ ref }: Pick<Ingest, 'ref'>, cause?: unknown): Error {
  return unavailable(`ref ${ref} was taken over by another writer, or aborted`, { cause });
}
