import { type FileHandle, open } from 'node:fs/promises';
import { LongshoreError } from '@longshore/errors';
import type { BlobReader } from '../../domain/blob-store.ts';
import { errnoOf, fromFileError } from './file-error.ts';

export class FileBlobReader implements BlobReader {
  readonly sizeBytes: number;
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  static async open(path: string): Promise<FileBlobReader> {
    const file = await open(path, 'r');
    try {
      return new FileBlobReader(path, file, (await file.stat()).size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(position: number, lengthBytes: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(lengthBytes);
    for (let done = 0; done < lengthBytes; ) {
      const { bytesRead } = await this.#file
        .read(buffer, done, lengthBytes - done, position + done)
        .catch(async (error) => Promise.reject(await this.#translate(error, position + done)));
      if (bytesRead === 0) return buffer.subarray(0, done);
      done += bytesRead;
    }
    return buffer;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** A disk that lost what it had says EIO, each time; a file system that is away does not even open the file. */
  async #translate(error: unknown, position: number): Promise<unknown> {
    const subject = `bytes at ${position}`;
    if (errnoOf(error) !== 'EIO') return fromFileError(error, subject);
    try {
      await using again = await open(this.#path, 'r');
      const isLost = await again.read(Buffer.alloc(1), 0, 1, position).then(
        () => false,
        (second) => errnoOf(second) === 'EIO',
      );
      if (isLost) {
        return new LongshoreError('DataLoss', `${subject} cannot be read: data loss`, { cause: error });
      }
    } catch {
      // The file system is away.
    }
    return fromFileError(error, subject);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
