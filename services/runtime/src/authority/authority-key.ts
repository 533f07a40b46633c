import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { failedPrecondition } from '@longshore/errors';

/** A private key, and how it signs. */
export interface SigningKey {
  privateKey: webcrypto.CryptoKey;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Buffer;
  algorithm: { name: string; hash: string; namedCurve?: string };
}

const CURVES: Readonly<Record<string, { namedCurve: string; hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

/** Throws FailedPrecondition for a key that is neither ECDSA on a NIST curve nor RSA, or is encrypted. */
export function parseSigningKey(pem: string, path: string): SigningKey {
  const key = readKey(pem, path);
  const algorithm = algorithmOf(key);
  if (!algorithm) throw failedPrecondition(`${path}: want an ECDSA key (P-256, P-384, P-521) or an RSA key`);
  return {
    privateKey: key.toCryptoKey(algorithm, false, ['sign']),
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    algorithm,
  };
}

function readKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw failedPrecondition(`${path}: is no unencrypted private key in PEM`, { cause: error });
  }
}

function algorithmOf(key: KeyObject): SigningKey['algorithm'] | undefined {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  return curve && { name: 'ECDSA', ...curve };
}
