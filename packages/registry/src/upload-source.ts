import type { BlobUpload } from './blob-upload.ts';

/** The bytes of an upload, and what they failed with: to those who send them, that looks like a connection that was cut. */
export class UploadSource {
  readonly #upload: Pick<BlobUpload, 'open' | 'onOffset'>;
  #failure: { error: unknown } | undefined;

  constructor(upload: Pick<BlobUpload, 'open' | 'onOffset'>) {
    this.#upload = upload;
  }

  async *read(offsetBytes: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
    let leftBytes = sizeBytes;
    try {
      for await (const chunk of this.#upload.open(offsetBytes)) {
        const part = chunk.subarray(0, leftBytes);
        leftBytes -= part.length;
        yield part;
        this.#upload.onOffset?.(offsetBytes + sizeBytes - leftBytes);
        if (leftBytes === 0) return;
      }
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** Throws what the bytes failed with, if they did. */
  rethrow(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
