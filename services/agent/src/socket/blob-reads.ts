import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { LongshoreError, messageOf, notFound, outOfRange, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type Digest, parseDigest } from '@longshore/oci';
import {
  InfoSchema,
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import type { LocalFile } from '../content/local-file.ts';
import type { LocalFiles } from '../content/local-files.ts';
import type { BlobPrefetch } from '../records/blob-prefetch.ts';
import type { CopyReads } from '../records/copy-reads.ts';
import { SMALL_BLOB_BYTES, type SmallBlobs } from '../records/small-blobs.ts';
import { messagesIn } from './grpc-message.ts';
import { type LocalReads, type Outcome, PASS_ON } from './local-read.ts';
import { resumedRead } from './resumed-read.ts';
import { wireField, wireHead } from './wire-field.ts';

/** With what gRPC and the messages add. */
const MAX_ANSWER_BYTES = SMALL_BLOB_BYTES + 1024;

/** `end` is behind the last byte. */
interface ByteRange {
  start: number;
  end: number;
}

interface LargeBlob {
  digest: Digest;
  sizeBytes: number;
}

export interface BlobReadsOptions {
  copy: CopyReads;
  blobs: SmallBlobs;
  prefetch: Pick<BlobPrefetch, 'want'>;
  files: LocalFiles;
  log: Logger;
}

/**
 * Reads of blobs, for namespaces that hold them. The first read of a small blob goes to its service, and is kept; a large
 * one is read from its file, where that is on this host.
 */
export function blobReads({ copy, blobs, prefetch, files, log }: BlobReadsOptions): LocalReads {
  function read(namespace: string, digest: Digest, offset: number, size: number): Outcome | Promise<Outcome> {
    if (!copy.isComplete('content')) return PASS_ON;
    const record = copy.get('content', namespace, digest);
    if (record === 'stale') return PASS_ON;
    if (!record) throw notFound(`content digest ${digest}`);
    const sizeBytes = sizeIn(record.value);
    const range = rangeOf(sizeBytes, offset, size);
    if (range.start === range.end) return [];
    if (sizeBytes > SMALL_BLOB_BYTES) return readLarge(namespace, { digest, sizeBytes }, range);
    const data = blobs.get(digest);
    if (data) return [wireField(2, data.subarray(range.start, range.end))];
    if (range.end - range.start < sizeBytes) {
      prefetch.want(namespace, digest, sizeBytes);
      return PASS_ON;
    }
    return { keepAnswer: { maxBytes: MAX_ANSWER_BYTES, keep: ({ body }) => keep(digest, body) } };
  }

  async function readLarge(
    namespace: string,
    { digest, sizeBytes }: LargeBlob,
    range: ByteRange,
  ): Promise<Outcome> {
    const file = await files.find(namespace, digest, sizeBytes);
    const first = await file?.read(range.start, range.end);
    if (!file || (!first && file.isClosed)) return { resume: resumedRead(digest, range, sizeBytes) };
    if (!first) {
      await files.reject(namespace, digest);
      // What came before may have been read here by the same caller, and be wrong, whoever answers this.
      if (range.start > 0) throw wrongFile(digest);
      return { resume: resumedRead(digest, range, sizeBytes) };
    }
    if (first.length === range.end - range.start) return [dataField(first)];
    return { messages: readOn(file, { namespace, digest }, range, first) };
  }

  async function* readOn(
    file: LocalFile,
    { namespace, digest }: { namespace: string; digest: Digest },
    { start, end }: ByteRange,
    first: Uint8Array,
  ) {
    // Others may need its place among the open files, or nobody asks for it anew for as long as this takes.
    using held = file.hold();
    for (let position = start, next: Uint8Array | undefined = first; ; ) {
      yield position === start ? dataField(next) : [offsetField(position - start), ...dataField(next)];
      position += next.length;
      if (position === end) return;
      next = await file.read(position, end);
      if (next) continue;
      if (!held) throw unavailable(`content ${digest}: its file was closed`);
      await files.reject(namespace, digest);
      throw wrongFile(digest);
    }
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

function wrongFile(digest: Digest): Error {
  return new LongshoreError(
    'DataLoss',
    `content ${digest}: its file cannot be read, or holds other bytes: data loss`,
  );
}

/** Sizes of the values of records that were asked for again and again. */
const sizes = new WeakMap<Uint8Array, number>();

function sizeIn(value: Uint8Array): number {
  const known = sizes.get(value);
  if (known !== undefined) return known;
  const sizeBytes = Number(fromBinary(InfoSchema, value).size);
  sizes.set(value, sizeBytes);
  return sizeBytes;
}

/** The field `data` of a ReadContentResponse. */
function dataField(data: Uint8Array): [head: Uint8Array, data: Uint8Array] {
  return [wireHead(2, data.length), data];
}

/** Its field `offset`. */
function offsetField(offset: number): Uint8Array {
  const answer = create(ReadContentResponseSchema, { offset: BigInt(offset) });
  return toBinary(ReadContentResponseSchema, answer);
}

/** `size` 0, negative or too long reads to the end. Throws OutOfRange. Source: containerd contentserver.go, Read. */
function rangeOf(sizeBytes: number, offset: number, size: number): ByteRange {
  const start = Math.max(0, offset);
  if (start > sizeBytes) throw outOfRange(`read past object length ${sizeBytes} bytes`);
  return { start, end: size <= 0 ? sizeBytes : Math.min(sizeBytes, start + size) };
}
