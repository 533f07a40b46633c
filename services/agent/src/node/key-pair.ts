import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A new private key of this node in PEM. It never leaves it. */
export async function newPrivateKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** Asks for a certificate of the key: PKCS #10 in PEM. Whose certificate it is decides who issues it. */
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
