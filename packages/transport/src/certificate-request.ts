import { createPrivateKey, createPublicKey, generateKeyPair, sign } from 'node:crypto';
import { promisify } from 'node:util';

const TAG = { integer: 0x02, bits: 0x03, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31, attributes: 0xa0 };
/** 2.5.4.3 */
const COMMON_NAME = [0x55, 0x04, 0x03];
/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const LINE_LENGTH = 64;

export interface KeyPair {
  /** PEM */
  privateKey: string;
  /** PKCS #10 in PEM: proves that who asks has the key. */
  certificateRequest: string;
}

/** A key for a new certificate, and the request for it. */
export async function newKeyPair(): Promise<KeyPair> {
  const privateKey = await newPrivateKey();
  return { privateKey, certificateRequest: certificateRequestOf(privateKey) };
}

/** A fresh private key in PEM (PKCS #8): ECDSA on P-256, which is small, fast, and known to every TLS library. */
export async function newPrivateKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return privateKey;
}

/**
 * Asks for a certificate of a key that {@link newPrivateKey} made: PKCS #10 in PEM. Whose certificate it is decides who
 * issues it. Written out by hand (RFC 2986): a library for X.509 would cost every agent its memory.
 */
export function certificateRequestOf(privateKey: string): string {
  const key = createPrivateKey(privateKey);
  const name = der(TAG.sequence, der(TAG.oid, COMMON_NAME), der(TAG.utf8, Buffer.from('longshore')));
  const info = der(
    TAG.sequence,
    der(TAG.integer, [0]),
    der(TAG.sequence, der(TAG.set, name)),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(TAG.attributes),
  );
  const signature = sign('sha256', info, key);
  const algorithm = der(TAG.sequence, der(TAG.oid, ECDSA_WITH_SHA256));
  return pem('CERTIFICATE REQUEST', der(TAG.sequence, info, algorithm, der(TAG.bits, [0], signature)));
}

/** One element of less than 256 bytes, which is more than a request takes. */
function der(tag: number, ...parts: (Uint8Array | number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = content;
  return Buffer.concat([Buffer.from(length < 0x80 ? [tag, length] : [tag, 0x81, length]), content]);
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
