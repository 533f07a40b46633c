import { failedPrecondition, isKind, LongshoreError } from '@longshore/errors';
import { algorithmOf, type Descriptor, type Digest, Digester, type Labels } from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Verifier } from '@longshore/registry';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { Services } from '../services.ts';
import { type BlobInfo, blobInfoFromProto, type IngestStatus, ingestStatusFromProto } from './blob-info.ts';
import { BlobWriter, type WriterOptions } from './blob-writer.ts';

export interface ByteRange {
  /** Default 0. */
  offsetBytes?: number | undefined;
  /** Default: to the end. */
  sizeBytes?: number | undefined;
}

export interface WriteOptions extends WriterOptions {
  labels?: Labels | undefined;
}

/** The blobs of one namespace. */
export class ContentStore {
  readonly #content: ServiceClient<typeof Content>;

  constructor(services: Services) {
    this.#content = services.service(Content);
  }

  /** Throws NotFound. */
  async info(digest: Digest, options?: CallOptions): Promise<BlobInfo> {
    const { info } = await this.#content.info({ digest }, options);
    return blobInfoFromProto(info!);
  }

  async *list(filters: readonly string[] = [], options?: CallOptions): AsyncGenerator<BlobInfo> {
    for await (const { info } of this.#content.list({ filters: [...filters] }, options)) {
      yield* info.map(blobInfoFromProto);
    }
  }

  /** The bytes as they come, not verified. Throws NotFound, OutOfRange. */
  async *read(digest: Digest, range: ByteRange = {}, options?: CallOptions): AsyncGenerator<Buffer> {
    const { offsetBytes = 0, sizeBytes = 0 } = range;
    const request = { digest, offset: BigInt(offsetBytes), size: BigInt(sizeBytes) };
    for await (const { data } of this.#content.read(request, options)) {
      yield Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    }
  }

  /** A small blob whole. Throws NotFound, ResourceExhausted for one that is larger than `maxBytes`, DataLoss for other bytes. */
  async readWhole(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    maxBytes: number,
    options?: CallOptions,
  ): Promise<Buffer> {
    const { digest, size } = descriptor;
    if (size > maxBytes) {
      const problem = `blob ${digest}: ${size} bytes are more than ${maxBytes}`;
      throw new LongshoreError('ResourceExhausted', `${problem}: resource exhausted`);
    }
    const chunks: Buffer[] = [];
    const verifier = new Verifier('the content store', { digest, sizeBytes: size });
    for await (const chunk of this.read(digest, {}, options)) {
      verifier.push(chunk);
      chunks.push(chunk);
    }
    verifier.finish();
    return Buffer.concat(chunks);
  }

  /** For bytes that come bit by bit, or to go on with what was begun. */
  writer(writer: WriterOptions, options?: CallOptions): Promise<BlobWriter> {
    return BlobWriter.open(this.#content, writer, options);
  }

  /**
   * Stores a stream from its first byte to its last, and says what it was. A blob that is there already is fine; the stream is read to
   * its end all the same. Throws FailedPrecondition for other bytes than expected. When it rejects, nothing of the ingest is left.
   */
  async write(
    source: AsyncIterable<Uint8Array>,
    { labels, ...wanted }: WriteOptions,
    options?: CallOptions,
  ): Promise<{ digest: Digest; sizeBytes: number }> {
    const { expected, ref, sizeBytes } = wanted;
    const digester = new Digester(expected && algorithmOf(expected));
    let readBytes = 0;
    try {
      await using writer = await orUndefined(this.writer(wanted, options));
      const isWhole = expected !== undefined && sizeBytes !== undefined && writer?.offsetBytes === sizeBytes;
      if (!isWhole) writer?.restart();
      let isThere = writer === undefined;
      for await (const chunk of source) {
        digester.update(chunk);
        readBytes += chunk.length;
        if (!isWhole && !isThere) isThere = await isRefused(writer!.write(chunk));
      }
      const digest = digester.digest();
      if (expected !== undefined && digest !== expected) {
        throw failedPrecondition(`blob ${expected}: the bytes given are ${digest}`);
      }
      if (!isThere) await isRefused(writer!.commit({ digest, labels }));
      return { digest, sizeBytes: readBytes };
    } catch (error) {
      await this.abort(ref, { headers: options?.headers }).catch(() => undefined);
      throw error;
    }
  }

  /** Throws NotFound. */
  async status(ref: string, options?: CallOptions): Promise<IngestStatus> {
    const { status } = await this.#content.status({ ref }, options);
    return ingestStatusFromProto(status!);
  }

  async statuses(filters: readonly string[] = [], options?: CallOptions): Promise<IngestStatus[]> {
    const { statuses } = await this.#content.listStatuses({ filters: [...filters] }, options);
    return statuses.map(ingestStatusFromProto);
  }

  /** Leaves nothing of an ingest. Throws NotFound. */
  async abort(ref: string, options?: CallOptions): Promise<void> {
    await this.#content.abort({ ref }, options);
  }

  /** Sets the labels that are given, deletes those given as empty, and leaves the others. Throws NotFound. */
  async label(digest: Digest, labels: Labels, options?: CallOptions): Promise<BlobInfo> {
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return this.info(digest, options);
    const { info } = await this.#content.update({ info: { digest, labels }, updateMask: { paths } }, options);
    return blobInfoFromProto(info!);
  }

  /** Throws NotFound. What still refers to the blob is not asked. */
  async delete(digest: Digest, options?: CallOptions): Promise<void> {
    await this.#content.delete({ digest }, options);
  }
}

/** Whether the store has the blob already. */
async function isRefused(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (isKind(error, 'AlreadyExists')) return true;
    throw error;
  }
}

/** Undefined when the store has the blob already. */
async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  return (await isRefused(work)) ? undefined : work;
}
