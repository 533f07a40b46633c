import { webcrypto } from 'node:crypto';
import { NEW_KEY_ALGORITHM, newPrivateKey, parseSigningKey } from './authority-key.ts';
import { x509 } from './x509.ts';

export interface KeyPair {
  /** PEM */
  privateKey: string;
  /** PKCS #10 in PEM: proves that who asks has the key. */
  certificateRequest: string;
}

/** For a certificate of this process's own, or of who asked at the command line. */
export async function newKeyPair(): Promise<KeyPair> {
  const pem = await newPrivateKey();
  const { privateKey, publicKey } = parseSigningKey(pem, 'new key');
  const spki = new Uint8Array(publicKey);
  const keys = {
    privateKey,
    publicKey: await webcrypto.subtle.importKey('spki', spki, NEW_KEY_ALGORITHM, true, ['verify']),
  };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=longshore',
    keys,
    signingAlgorithm: NEW_KEY_ALGORITHM,
  });
  return { privateKey: pem, certificateRequest: request.toString('pem') };
}
