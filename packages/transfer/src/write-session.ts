import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import {
  type Content,
  WriteAction,
  type WriteContentRequestSchema,
  type WriteContentResponse,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { BlobToStore, OpenBlob } from './pull-store.ts';

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

/** Large enough that a message's own cost does not count. */
const MESSAGE_BYTES = 512 * 1024;
/** Sent and not yet answered: what one blob takes of memory on either side. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export interface WriteRequest {
  content: ServiceClient<typeof Content>;
  /** Of the ingest. */
  ref: string;
  blob: BlobToStore;
  open: OpenBlob;
  /** Forgets what an earlier attempt has left. */
  fromStart: boolean;
  options: CallOptions;
  onOffset: ((offsetBytes: number) => void) | undefined;
}

/** How a session failed: by the source of the bytes, or by the content service. */
export class SourceError extends Error {}

/**
 * One session of content.Write, from the offset that the service names to the commit. Content that is there already is
 * fine. Throws {@link SourceError} around what `open` throws; otherwise what the service says.
 */
export async function writeBlob(request: WriteRequest): Promise<{ beganAtBytes: number }> {
  const session = new WriteSession(request);
  try {
    const { content, options } = request;
    for await (const answer of content.write(session.requests(), options)) session.onAnswer(answer);
  } catch (error) {
    if (!isKind(error, 'AlreadyExists')) throw error;
  } finally {
    session.close();
  }
  return { beganAtBytes: session.beganAtBytes };
}

class WriteSession {
  beganAtBytes = 0;
  readonly #request: WriteRequest;
  readonly #opened = Promise.withResolvers<number>();
  #ackedBytes = 0;
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(request: WriteRequest) {
    this.#request = request;
    this.#opened.promise.catch(() => undefined);
  }

  onAnswer({ action, offset }: WriteContentResponse): void {
    if (action === WriteAction.STAT) this.#opened.resolve(Number(offset));
    if (action !== WriteAction.WRITE) return;
    this.#ackedBytes = Number(offset);
    this.#request.onOffset?.(this.#ackedBytes);
    this.#wake();
  }

  /** Ends what waits for answers that will not come. */
  close(): void {
    this.#isOver = true;
    this.#opened.reject(new SourceError('session is over'));
    this.#wake();
  }

  async *requests(): AsyncGenerator<Request> {
    const { ref, blob, fromStart } = this.#request;
    const total = BigInt(blob.descriptor.size);
    const expected = blob.descriptor.digest;
    yield { action: WriteAction.STAT, ref, total, expected };
    const kept = await this.#opened.promise;
    // What is linked is whole and right; nothing else that is whole is known to be.
    this.beganAtBytes = fromStart && kept < blob.descriptor.size ? 0 : kept;
    this.#ackedBytes = this.beganAtBytes;
    if (this.beganAtBytes < blob.descriptor.size) yield* this.#chunks(this.beganAtBytes);
    yield { action: WriteAction.COMMIT, offset: total, total, expected, labels: blob.labels };
  }

  async *#chunks(offsetBytes: number): AsyncGenerator<Request> {
    let position = offsetBytes;
    for await (const data of gathered(wrapErrors(this.#request.open(offsetBytes)))) {
      while (!this.#isOver && position - this.#ackedBytes > WINDOW_BYTES) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#isOver) return;
      yield { action: WriteAction.WRITE, offset: BigInt(position), data };
      position += data.length;
    }
  }
}

/** Small chunks joined to messages of a fair size. */
async function* gathered(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes < MESSAGE_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    sizeBytes = 0;
  }
  if (sizeBytes > 0) yield Buffer.concat(parts);
}

async function* wrapErrors(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    throw new SourceError('source of the blob failed', { cause: error });
  }
}
