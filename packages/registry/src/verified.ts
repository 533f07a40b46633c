import { LongshoreError } from '@longshore/errors';
import { algorithmOf, type Descriptor, type Digest, Digester } from '@longshore/oci';

/** What is being read, and what it must turn out to be. */
export interface Expected {
  digest: Digest;
  sizeBytes: number;
  /** Where reading begins; a digest is only checked of what is read from its first byte on. Default 0. */
  offsetBytes?: number;
}

/** Checks bytes as they come in. */
export class Verifier {
  readonly #subject: string;
  readonly #expected: Expected;
  readonly #digester: Digester | undefined;
  #positionBytes: number;

  /** `subject` says whose bytes these are, for errors: `registry "host"`. */
  constructor(subject: string, expected: Expected) {
    this.#subject = subject;
    this.#expected = expected;
    this.#positionBytes = expected.offsetBytes ?? 0;
    this.#digester = this.#positionBytes === 0 ? new Digester(algorithmOf(expected.digest)) : undefined;
  }

  get positionBytes(): number {
    return this.#positionBytes;
  }

  get isWhole(): boolean {
    return this.#positionBytes === this.#expected.sizeBytes;
  }

  /** Throws DataLoss for more bytes than there should be, and, at the last one, for other bytes. */
  push(chunk: Uint8Array): void {
    this.#positionBytes += chunk.byteLength;
    if (this.#positionBytes > this.#expected.sizeBytes) {
      throw this.#wrong(`more than ${this.#expected.sizeBytes} bytes`);
    }
    this.#digester?.update(chunk);
    if (this.isWhole) this.finish();
  }

  /** Throws DataLoss unless everything has come. */
  finish(): void {
    const { sizeBytes, digest } = this.#expected;
    if (!this.isWhole) throw this.#wrong(`${this.#positionBytes} of ${sizeBytes} bytes`);
    const actual = this.#digester?.digest();
    if (actual !== undefined && actual !== digest) throw this.#wrong(`other bytes, ${actual}`);
  }

  #wrong(what: string): LongshoreError {
    return new LongshoreError(
      'DataLoss',
      `blob ${this.#expected.digest}: ${this.#subject} sent ${what}: data loss`,
    );
  }
}

/** Throws DataLoss unless the bytes are what the descriptor says. */
export function verifyWhole(subject: string, { digest, size }: Descriptor, bytes: Uint8Array): void {
  const verifier = new Verifier(subject, { digest, sizeBytes: size });
  verifier.push(bytes);
  verifier.finish();
}
