import type { FileHandle } from 'node:fs/promises';
import type { BlobReader } from '../../domain/blob-store.ts';

export class FileBlobReader implements BlobReader {
  readonly sizeBytes: number;
  readonly #file: FileHandle;

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  async read(position: number, lengthBytes: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(lengthBytes, this.sizeBytes - position));
    const buffer = Buffer.allocUnsafeSlow(wanted);
    for (let done = 0; done < wanted; ) {
      const { bytesRead } = await this.#file.read(buffer, done, wanted - done, position + done);
      if (bytesRead === 0) return buffer.subarray(0, done);
      done += bytesRead;
    }
    return buffer;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
