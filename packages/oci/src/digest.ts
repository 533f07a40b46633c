import { createHash, type Hash } from 'node:crypto';
import { invalidArgument } from '@longshore/errors';

export type DigestAlgorithm = 'sha256' | 'sha384' | 'sha512';

/** A checked `<algorithm>:<hex>`. Made by {@link parseDigest} and {@link Digester} only. */
export type Digest = `${DigestAlgorithm}:${string}`;

/** Hex characters of each algorithm's sum. */
const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/** What any digest looks like, also of algorithms that we do not know. */
const DIGEST_SHAPE = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
const LOWER_HEX = /^[a-f0-9]+$/;

/** Throws InvalidArgument. Source: opencontainers/go-digest digest.go, algorithm.go. */
export function parseDigest(text: string): Digest {
  const problem = digestProblem(text);
  if (problem) throw invalidArgument(`digest "${text}": ${problem}`);
  return text as Digest;
}

export function isDigest(text: string): text is Digest {
  return digestProblem(text) === undefined;
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
}

/** The hex part. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function digestOf(
  data: string | NodeJS.ArrayBufferView,
  algorithm: DigestAlgorithm = 'sha256',
): Digest {
  return new Digester(algorithm).update(data).digest();
}

/** Hashes a stream piece by piece; the digest so far may be asked for at any time. */
export class Digester {
  readonly algorithm: DigestAlgorithm;
  private readonly hash: Hash;

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.algorithm = algorithm;
    this.hash = createHash(algorithm);
  }

  update(data: string | NodeJS.ArrayBufferView): this {
    this.hash.update(data);
    return this;
  }

  /** The digest of everything up to here; more may follow. */
  digest(): Digest {
    return `${this.algorithm}:${this.hash.copy().digest('hex')}`;
  }
}

function digestProblem(text: string): string | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1) return 'invalid checksum digest format';
  const algorithm = text.slice(0, colon);
  if (!isAlgorithm(algorithm)) {
    return DIGEST_SHAPE.test(text) ? 'unsupported digest algorithm' : 'invalid checksum digest format';
  }
  const encoded = text.slice(colon + 1);
  if (encoded.length !== HEX_LENGTH[algorithm]) return 'invalid checksum digest length';
  return LOWER_HEX.test(encoded) ? undefined : 'invalid checksum digest format';
}

function isAlgorithm(name: string): name is DigestAlgorithm {
  return Object.hasOwn(HEX_LENGTH, name);
}
