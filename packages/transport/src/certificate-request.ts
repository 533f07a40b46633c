import { createPrivateKey, createPublicKey, generateKeyPair, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';

/** Small, fast, and known to every TLS library. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface KeyPair {
  /** PEM */
  privateKey: string;
  /** PKCS #10 in PEM: proves that who asks has the key. */
  certificateRequest: string;
}

/** A key for a new certificate, and the request for it. */
export async function newKeyPair(): Promise<KeyPair> {
  const privateKey = await newPrivateKey();
  return { privateKey, certificateRequest: await certificateRequestOf(privateKey) };
}

/** A fresh private key in PEM (PKCS #8): ECDSA on P-256. */
export async function newPrivateKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', {
    namedCurve: ALGORITHM.namedCurve,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return privateKey;
}

/**
 * Asks for a certificate of a key that {@link newPrivateKey} made: PKCS #10 in PEM. Whose certificate it is decides who
 * issues it.
 */
export async function certificateRequestOf(privateKeyPem: string): Promise<string> {
  const x509 = await loadX509();
  const key = createPrivateKey(privateKeyPem);
  const keys = {
    privateKey: key.toCryptoKey(ALGORITHM, false, ['sign']),
    publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']),
  };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=longshore',
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return request.toString('pem');
}

/** Once in days: loaded when needed, it does not cost every agent its memory. It finds its parts by decorators' metadata. */
async function loadX509() {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto);
  return x509;
}
