import { randomBytes } from 'node:crypto';

/**
 * A serial number in lower-case hexadecimal: positive, and without leading zeros, so that every tool writes it alike.
 */
export function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x6f) | 0x10;
  return bytes.toString('hex');
}
