import { algorithmOf, type Digest, Digester } from '@longshore/oci';

/** What was not read by others is read in such pieces. */
const PIECE_BYTES = 1024 * 1024;

/** Hashes a file while it is read, in whatever order, and says at the end whether it is the blob that it should be. */
export class FileVerifier {
  readonly #expected: Digest;
  readonly #sizeBytes: number;
  readonly #load: (position: number, lengthBytes: number) => Promise<Uint8Array>;
  readonly #digester: Digester;
  #hashedBytes = 0;
  #verdict: Promise<boolean> | undefined;

  /** `load` reads from the file, and pushes here what it has read. */
  constructor(
    expected: Digest,
    sizeBytes: number,
    load: (position: number, lengthBytes: number) => Promise<Uint8Array>,
  ) {
    this.#expected = expected;
    this.#sizeBytes = sizeBytes;
    this.#load = load;
    this.#digester = new Digester(algorithmOf(expected));
  }

  /** To be told of all that was read. */
  push(position: number, data: Uint8Array): void {
    const end = position + data.byteLength;
    if (position > this.#hashedBytes || end <= this.#hashedBytes) return;
    this.#digester.update(data.subarray(this.#hashedBytes - position));
    this.#hashedBytes = end;
  }

  /** Whether all of the file has the expected digest; reads what nobody has read yet. Rejects when it cannot be read. */
  isRight(): Promise<boolean> {
    this.#verdict ??= this.#judge().catch((error) => {
      this.#verdict = undefined;
      throw error;
    });
    return this.#verdict;
  }

  async #judge(): Promise<boolean> {
    while (this.#hashedBytes < this.#sizeBytes) await this.#load(this.#hashedBytes, PIECE_BYTES);
    return this.#digester.digest() === this.#expected;
  }
}
