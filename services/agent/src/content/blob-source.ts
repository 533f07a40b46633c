import { access, constants } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { CallOptions, ServiceClient } from '@longshore/client';
import type { Digest } from '@longshore/oci';
import type { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobService, LocateResponse } from '@longshore/proto/longshore/content/v1/blobs';

/** Finds where the bytes of blobs can be read with the least effort. */
export class BlobSource {
  readonly #blobs: ServiceClient<typeof BlobService>;
  readonly #content: ServiceClient<typeof Content>;

  constructor(blobs: ServiceClient<typeof BlobService>, content: ServiceClient<typeof Content>) {
    this.#blobs = blobs;
    this.#content = content;
  }

  /**
   * The path of the blob's file where this host has it, else a stream of its bytes, which is to be read to its end or
   * destroyed. Throws NotFound for a blob that the scope of `options` does not hold.
   */
  async open(digest: Digest, options: CallOptions): Promise<string | Readable> {
    const located = await this.#blobs.locate({ digest }, options);
    return (await readablePath(located)) ?? Readable.from(this.#read(digest, options), { objectMode: false });
  }

  async *#read(digest: Digest, options: CallOptions): AsyncIterable<Buffer> {
    for await (const { data } of this.#content.read({ digest }, options)) {
      yield Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    }
  }
}

async function readablePath({ place }: LocateResponse): Promise<string | undefined> {
  if (place.case !== 'file') return undefined;
  const { path } = place.value;
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
  return isReadable ? path : undefined;
}
