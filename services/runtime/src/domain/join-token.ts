import { createHash, randomBytes } from 'node:crypto';
import { LongshoreError } from '@longshore/errors';

const PREFIX = 'lsj1.';
const ID_BYTES = 16;
const SECRET_BYTES = 32;
const FINGERPRINT_BYTES = 32;

export interface JoinTokenParts {
  /** A UUID; no secret. */
  id: string;
  secret: Buffer;
  /** SHA-256 of the certificate authority that the joining machine is to trust. */
  fingerprint: Buffer;
}

export function newJoinToken(fingerprint: Buffer): JoinTokenParts {
  return { id: idOf(randomBytes(ID_BYTES)), secret: randomBytes(SECRET_BYTES), fingerprint };
}

export function formatJoinToken({ id, secret, fingerprint }: JoinTokenParts): string {
  const bytes = Buffer.concat([Buffer.from(id.replaceAll('-', ''), 'hex'), secret, fingerprint]);
  return PREFIX + bytes.toString('base64url');
}

/** Throws Unauthenticated. The text is a secret: no message holds any of it. */
export function parseJoinToken(text: string): JoinTokenParts {
  const bytes = Buffer.from(text.slice(PREFIX.length), 'base64url');
  if (!text.startsWith(PREFIX) || bytes.length !== ID_BYTES + SECRET_BYTES + FINGERPRINT_BYTES) {
    throw invalidToken('is none');
  }
  return {
    id: idOf(bytes.subarray(0, ID_BYTES)),
    secret: bytes.subarray(ID_BYTES, ID_BYTES + SECRET_BYTES),
    fingerprint: bytes.subarray(ID_BYTES + SECRET_BYTES),
  };
}

/** What is kept of a secret: it is random and long, so nobody guesses it from its hash. */
export function hashSecret(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest();
}

export function invalidToken(problem: string): LongshoreError {
  return new LongshoreError('Unauthenticated', `join token: ${problem}`);
}

function idOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
