import type { MessageInitShape } from '@bufbuild/protobuf';
import { alreadyExists, unavailable } from '@longshore/errors';
import type { Digest, Labels } from '@longshore/oci';
import {
  type Content,
  WriteAction,
  type WriteContentRequestSchema,
  type WriteContentResponse,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { RequestQueue } from './request-queue.ts';

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

/** Large enough that a message's own cost does not count. */
const MESSAGE_BYTES = 1024 * 1024;
/** Sent and not yet answered: what a writer takes of memory. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export interface WriterOptions {
  /** Names the ingest: whoever opens it later goes on where this one ended. One writer at a time. */
  ref: string;
  /** 0 or absent where it is not known before the end. */
  sizeBytes?: number | undefined;
  /** What is to come out; a store that has it refuses the writer with AlreadyExists. */
  expected?: Digest | undefined;
}

export interface CommitOptions {
  /** Of everything that was written. */
  digest: Digest;
  labels?: Labels | undefined;
}

/**
 * Writes one blob: open → committed, or closed and resumable. What was sent is acknowledged some megabytes later, so an error of one
 * write is thrown by the next, or by the commit.
 */
export class BlobWriter implements AsyncDisposable {
  readonly ref: string;
  readonly #requests = new RequestQueue<Request>();
  readonly #answers: AsyncIterator<WriteContentResponse>;
  readonly #opened: { sizeBytes: number; expected: string };
  #sentBytes = 0;
  #ackedBytes = 0;

  private constructor(content: ServiceClient<typeof Content>, options: WriterOptions, call: CallOptions) {
    this.ref = options.ref;
    this.#opened = { sizeBytes: options.sizeBytes ?? 0, expected: options.expected ?? '' };
    this.#answers = content.write(this.#requests, call)[Symbol.asyncIterator]();
  }

  /** Throws AlreadyExists for a blob that is there, Unavailable for an ingest that another writes. */
  static async open(
    content: ServiceClient<typeof Content>,
    options: WriterOptions,
    call: CallOptions = {},
  ): Promise<BlobWriter> {
    const writer = new BlobWriter(content, options, call);
    const { sizeBytes, expected } = writer.#opened;
    writer.#requests.push({
      action: WriteAction.STAT,
      ref: options.ref,
      total: BigInt(sizeBytes),
      expected,
    });
    writer.#ackedBytes = Number((await writer.#answer()).offset);
    writer.#sentBytes = writer.#ackedBytes;
    return writer;
  }

  /** How much was given to it, in earlier sessions too: where to go on. The size, for bytes that need not be sent. */
  get offsetBytes(): number {
    return this.#sentBytes;
  }

  /** Forgets what earlier sessions have written. */
  restart(): void {
    this.#sentBytes = 0;
    this.#ackedBytes = 0;
  }

  /** Resolves once more may be given. `data` is copied by nobody: leave it alone until the commit. */
  async write(data: Uint8Array): Promise<void> {
    for (let start = 0; start < data.length; start += MESSAGE_BYTES) {
      const part = data.subarray(start, start + MESSAGE_BYTES);
      this.#requests.push({ action: WriteAction.WRITE, offset: BigInt(this.#sentBytes), data: part });
      this.#sentBytes += part.length;
      while (this.#sentBytes - this.#ackedBytes > WINDOW_BYTES) await this.#acknowledge();
    }
  }

  /** Throws FailedPrecondition for other bytes than said, AlreadyExists when the blob is there by now. */
  async commit({ digest, labels = {} }: CommitOptions): Promise<void> {
    while (this.#ackedBytes < this.#sentBytes) await this.#acknowledge();
    const total = BigInt(this.#sentBytes);
    this.#requests.push({ action: WriteAction.COMMIT, offset: total, total, expected: digest, labels });
    for (;;) if ((await this.#answer()).action === WriteAction.COMMIT) break;
    await this.close();
  }

  /** Resolves once another writer may open the ref; what was written and not committed is its to go on with. */
  async close(): Promise<void> {
    this.#requests.end();
    // Errors have been thrown by what they were of, or concern nobody any more.
    while (!(await this.#answers.next().catch(() => ({ done: true }))).done);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #acknowledge(): Promise<void> {
    const { action, offset } = await this.#answer();
    if (action === WriteAction.WRITE) this.#ackedBytes = Number(offset);
  }

  async #answer(): Promise<WriteContentResponse> {
    const { value, done } = await this.#answers.next();
    if (!done) return value;
    if (this.#opened.expected !== '') throw alreadyExists(`content ${this.#opened.expected}`);
    throw unavailable(`ingest ${JSON.stringify(this.ref)}: the server has ended the writer`);
  }
}
