import { invalidArgument } from '@longshore/errors';

const PREFIX = 'lsj1.';
/** An id, a secret, and the SHA-256 of the certificate authority. */
const LENGTH_BYTES = 16 + 32 + 32;
const FINGERPRINT_BYTES = 32;

/**
 * The SHA-256 of the fleet's certificate authority, which a join token holds beside its secret. Throws InvalidArgument for
 * what is no token; no message holds any of it.
 */
export function fingerprintOf(token: string): Buffer {
  const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url');
  if (!token.startsWith(PREFIX) || bytes.length !== LENGTH_BYTES) {
    throw invalidArgument(`join token: want ${PREFIX}… as it was given out`);
  }
  return bytes.subarray(-FINGERPRINT_BYTES);
}
