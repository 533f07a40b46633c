import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import type { Digest, Labels } from '@longshore/oci';
import {
  type Content,
  WriteAction,
  type WriteContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

/** Sent and not yet answered: what one blob takes of memory on either side. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export interface NewBlob {
  /** Of the ingest; what it holds from earlier is forgotten. */
  ref: string;
  chunks: AsyncIterable<Buffer>;
  /** Asked once all chunks were read. */
  described(): Promise<{ digest: Digest; labels: Labels }>;
}

/**
 * Stores bytes whose digest is known at their end only. A blob that is there already is fine. Throws what the content
 * service says, and what `chunks` and `described` throw; the ingest is left then.
 */
export async function storeNewBlob(
  content: ServiceClient<typeof Content>,
  blob: NewBlob,
  options: CallOptions,
): Promise<void> {
  let ackedBytes = 0;
  let isOver = false;
  let wake = () => {};
  let broken: { error: unknown } | undefined;

  async function* requests(): AsyncGenerator<Request> {
    try {
      let offset = 0;
      for await (const data of blob.chunks) {
        // The first one, at offset 0, takes the place of what the ingest holds.
        yield { action: WriteAction.WRITE, ref: blob.ref, offset: BigInt(offset), data };
        offset += data.length;
        while (!isOver && offset - ackedBytes > WINDOW_BYTES) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (isOver) return;
      }
      const { digest, labels } = await blob.described();
      const total = BigInt(offset);
      yield { action: WriteAction.COMMIT, ref: blob.ref, offset: total, total, expected: digest, labels };
    } catch (error) {
      broken = { error };
      throw error;
    }
  }

  try {
    for await (const { action, offset } of content.write(requests(), options)) {
      if (action === WriteAction.WRITE) ackedBytes = Number(offset);
      wake();
    }
  } catch (error) {
    if (broken) throw broken.error;
    if (!isKind(error, 'AlreadyExists')) throw error;
  } finally {
    isOver = true;
    wake();
  }
}
