import { fromBinary } from '@bufbuild/protobuf';
import { messageOf, notFound, outOfRange } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type Digest, parseDigest } from '@longshore/oci';
import {
  InfoSchema,
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobPrefetch } from '../records/blob-prefetch.ts';
import type { CopyReads } from '../records/record-copy.ts';
import { SMALL_BLOB_BYTES, type SmallBlobs } from '../records/small-blobs.ts';
import { messagesIn } from './grpc-message.ts';
import { type LocalReads, type Outcome, PASS_ON } from './local-read.ts';
import { resumedRead } from './resumed-read.ts';
import { wireField } from './wire-field.ts';

/** With what gRPC and the messages add. */
const MAX_ANSWER_BYTES = SMALL_BLOB_BYTES + 1024;

export interface BlobReadsOptions {
  copy: CopyReads;
  blobs: SmallBlobs;
  prefetch: Pick<BlobPrefetch, 'want'>;
  log: Logger;
}

/** Reads of small blobs, for namespaces that hold them. The first read of a blob goes to its service, and is kept. */
export function blobReads({ copy, blobs, prefetch, log }: BlobReadsOptions): LocalReads {
  function read(namespace: string, digest: Digest, offset: number, size: number): Outcome {
    if (!copy.isComplete('content')) return PASS_ON;
    const record = copy.get('content', namespace, digest);
    if (record === 'stale') return PASS_ON;
    if (!record) throw notFound(`content digest ${digest}`);
    const sizeBytes = Number(fromBinary(InfoSchema, record.value).size);
    const range = rangeOf(sizeBytes, offset, size);
    if (range.start === range.end) return [];
    if (sizeBytes > SMALL_BLOB_BYTES) return { resume: resumedRead(digest, range, sizeBytes) };
    const data = blobs.get(digest);
    if (data) return [wireField(2, data.subarray(range.start, range.end))];
    if (range.end - range.start < sizeBytes) {
      prefetch.want(namespace, digest, sizeBytes);
      return PASS_ON;
    }
    return { keepAnswer: { maxBytes: MAX_ANSWER_BYTES, keep: ({ body }) => keep(digest, body) } };
  }

  function keep(digest: Digest, body: Buffer): void {
    try {
      const parts = messagesIn(body).map((message) => fromBinary(ReadContentResponseSchema, message).data);
      blobs.put(digest, Buffer.concat(parts));
    } catch (error) {
      log.warn({ digest, error: messageOf(error) }, 'small blob cannot be kept');
    }
  }

  return new Map([
    [
      '/containerd.services.content.v1.Content/Read',
      (request, caller) => {
        const { namespace } = caller;
        const { digest, offset, size } = fromBinary(ReadContentRequestSchema, request);
        return read(namespace, parseDigest(digest), Number(offset), Number(size));
      },
    ],
  ]);
}

/** `size` 0, negative or too long reads to the end. Throws OutOfRange. Source: containerd contentserver.go, Read. */
function rangeOf(sizeBytes: number, offset: number, size: number): { start: number; end: number } {
  const start = Math.max(0, offset);
  if (start > sizeBytes) throw outOfRange(`read past object length ${sizeBytes} bytes`);
  return { start, end: size <= 0 ? sizeBytes : Math.min(sizeBytes, start + size) };
}
