import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { alreadyExists, invalidArgument, isKind } from '@longshore/errors';
import { type Call, passBulk } from '@longshore/kit';
import { type Digest, parseDigest, validateLabels, withoutEmptyLabels } from '@longshore/oci';
import {
  WriteAction,
  type WriteContentRequest,
  type WriteContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { IngestWriter } from '../domain/ingest-writer.ts';
import { contentEvents } from '../events.ts';
import type { ContentParts } from './content-parts.ts';
import { contentRecord } from './records.ts';

/** Bytes of an ingest that nobody announced count once they are committed; so many more may come before the quota is asked. */
const ADMIT_STEP_BYTES = 64 * 1024 * 1024;

type Answer = MessageInitShape<typeof WriteContentResponseSchema>;

/**
 * One writer's session: an answer for each request, and the last one once more at the end, as Go clients expect.
 * A session that ends without a commit can be resumed. Source: containerd contentserver.go, Write.
 */
export async function* writeContent(
  parts: ContentParts,
  requests: AsyncIterable<WriteContentRequest>,
  call: Call,
): AsyncGenerator<Answer> {
  let session: WriteSession | undefined;
  try {
    let last: Answer | undefined;
    for await (const request of requests) {
      session ??= await WriteSession.open(parts, request, call);
      last = await session.handle(request);
      passBulk(request.data.byteLength);
      yield last;
      if (request.action === WriteAction.COMMIT) break;
    }
    if (!last) throw invalidArgument('first message must have a reference');
    yield last;
  } finally {
    await session?.close();
  }
}

class WriteSession {
  readonly #parts: ContentParts;
  readonly #call: Call;
  readonly #writer: IngestWriter;
  /** The first request's digest was looked for when the writer was opened. */
  #isFirst = true;
  #totalBytes: number;
  #expected: Digest | undefined;
  /** How far the namespace's quota was asked. */
  #admittedBytes: number;

  private constructor(parts: ContentParts, call: Call, writer: IngestWriter, first: WriteContentRequest) {
    this.#parts = parts;
    this.#call = call;
    this.#writer = writer;
    this.#totalBytes = Number(first.total);
    this.#expected = expectedOf(first);
    this.#admittedBytes = Math.max(writer.ingest.totalBytes, ADMIT_STEP_BYTES);
  }

  static async open(parts: ContentParts, first: WriteContentRequest, call: Call): Promise<WriteSession> {
    const { ref } = first;
    if (ref === '') throw invalidArgument('first message must have a reference');
    const expected = expectedOf(first);
    const { scope, lease, signal } = call;
    // At the edge a namespace gains no blob by knowing its digest, on no node.
    const isIsolated = call.isFromEdge;
    const request = { ref, totalBytes: Number(first.total), expected, lease, isIsolated };
    const writer = await parts.writers.open(scope, request, signal);
    if (!writer) throw alreadyExists(`content ${expected}`);
    return new WriteSession(parts, call, writer, first);
  }

  async handle(request: WriteContentRequest): Promise<Answer> {
    const isFirst = this.#isFirst;
    const isCommit = request.action === WriteAction.COMMIT;
    const expected = expectedOf(request);
    this.#isFirst = false;
    this.#expected = expected ?? this.#expected;
    if (expected !== undefined && !isFirst && !isCommit) await this.#refuseHeld(expected);
    if (request.total > 0n) this.#totalBytes = Number(request.total);
    if (request.action === WriteAction.STAT) return this.#stat(request);
    try {
      return await this.#write(request);
    } catch (error) {
      // A commit finds out by itself, unless it is refused for what was sent.
      if (expected !== undefined && isCommit && isKind(error, 'OutOfRange', 'FailedPrecondition')) {
        await this.#refuseHeld(expected);
      }
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  async #write(request: WriteContentRequest): Promise<Answer> {
    const end = Number(request.offset) + request.data.byteLength;
    if (end > this.#admittedBytes) await this.#admit(end);
    await this.#writer.write(Number(request.offset), request.data);
    const { offsetBytes, digest } = this.#writer;
    if (request.action === WriteAction.COMMIT) await this.#commit(request);
    return { action: request.action, offset: BigInt(offsetBytes), digest };
  }

  /** Throws ResourceExhausted: what was never committed must not fill the store either. */
  async #admit(sizeBytes: number): Promise<void> {
    const { scope } = this.#call;
    await this.#parts.quotas.admit(scope.namespace, this.#expected ?? this.#writer.digest, sizeBytes);
    this.#admittedBytes = sizeBytes + ADMIT_STEP_BYTES;
  }

  /** Somebody else may have brought the blob in the meantime: nothing is left to write then. */
  async #refuseHeld(expected: Digest): Promise<void> {
    if (!(await this.#isHeld(expected))) return;
    await this.#writer.close();
    await this.#abort();
    throw alreadyExists(`blob with expected digest ${expected}`);
  }

  #isHeld(digest: Digest): Promise<boolean> {
    const { contents } = this.#parts;
    const { scope, lease } = this.#call;
    return lease === undefined ? contents.holds(scope, digest) : contents.leaseHeld(scope, digest, lease);
  }

  async #abort(): Promise<void> {
    const { ingests, remover } = this.#parts;
    try {
      await ingests.abort(this.#call.scope, this.#writer.ingest.ref, this.#call.lease);
      remover.wake();
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }

  /** Asking makes what was accepted durable, so that the answer holds after a crash too. */
  async #stat(request: WriteContentRequest): Promise<Answer> {
    await this.#writer.save();
    const { offsetBytes, digest, ingest, updatedAt } = this.#writer;
    return {
      action: request.action,
      offset: BigInt(offsetBytes),
      total: BigInt(this.#totalBytes || ingest.totalBytes),
      digest,
      startedAt: timestampFromDate(ingest.startedAt),
      updatedAt: timestampFromDate(updatedAt),
    };
  }

  async #commit({ labels }: WriteContentRequest): Promise<void> {
    validateLabels(labels);
    const { scope, lease } = this.#call;
    const { ingest, digest, offsetBytes } = this.#writer;
    // Refused here the ingest keeps its bytes. Of a size that was announced, opening has asked.
    if (ingest.totalBytes === 0) await this.#parts.quotas.admit(scope.namespace, digest, offsetBytes);
    const created = await this.#writer.commit({
      totalBytes: this.#totalBytes,
      expected: this.#expected,
      labels: withoutEmptyLabels(labels),
      lease,
    });
    if (!created) throw alreadyExists(`content ${this.#writer.digest}`);
    this.#call.reportEvent(contentEvents.created(created));
    this.#call.reportRecord(contentRecord.stored(created));
    this.#parts.scheduler.mutated(scope);
  }
}

function expectedOf({ expected }: WriteContentRequest): Digest | undefined {
  return expected === '' ? undefined : parseDigest(expected);
}
