import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind, LongshoreError } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import {
  WriteAction,
  type WriteContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { ScopedClients } from './backends.ts';
import type { RequestCall } from './request-call.ts';

/** Of one message; the body's own pieces are smaller than what a message may have. */
const MESSAGE_BYTES = 256 * 1024;

type WriteRequest = MessageInitShape<typeof WriteContentRequestSchema>;

/**
 * Stores a body as content, as it comes. What a former attempt has left is not sent again; content that is there already is fine, and
 * answers false. Throws InvalidArgument for bytes of another digest, Unavailable while somebody else writes the same.
 */
export async function uploadContent(
  content: ScopedClients['content'],
  call: RequestCall,
  digest: Digest,
  body: AsyncIterable<Buffer>,
): Promise<boolean> {
  const ref = `upload-${digest}`;
  const opened = Promise.withResolvers<number>();
  // Without a handler its failure, which the call itself tells, would count as unhandled.
  opened.promise.catch(() => undefined);
  let sentBytes = 0;

  async function* requests(): AsyncGenerator<WriteRequest> {
    yield { action: WriteAction.STAT, ref, expected: digest };
    const skipped = await opened.promise;
    for await (const chunk of body) {
      for (let from = Math.max(0, skipped - sentBytes); from < chunk.byteLength; from += MESSAGE_BYTES) {
        const data = chunk.subarray(from, from + MESSAGE_BYTES);
        yield { action: WriteAction.WRITE, offset: BigInt(sentBytes + from), data };
      }
      sentBytes += chunk.byteLength;
    }
    yield {
      action: WriteAction.COMMIT,
      expected: digest,
      total: BigInt(sentBytes),
      offset: BigInt(sentBytes),
    };
  }

  try {
    for await (const { action, offset } of content.write(requests(), call)) {
      if (action === WriteAction.STAT) opened.resolve(Number(offset));
    }
    return true;
  } catch (error) {
    opened.reject(error);
    if (isKind(error, 'AlreadyExists')) return false;
    if (!isKind(error, 'FailedPrecondition')) throw error;
    // The bytes are not those of the digest: the next attempt begins anew.
    await content.abort({ ref }, call).catch(() => undefined);
    throw new LongshoreError('InvalidArgument', (error as Error).message, { cause: error });
  }
}
