import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failedPrecondition } from '@longshore/errors';
import { newPrivateKey } from '@longshore/transport';
import { parseSigningKey, type SigningKey } from './authority-key.ts';
import { newSerial } from './serial.ts';
import { x509 } from './x509.ts';

const LIFETIME_MS = 10 * 365 * 86_400_000;
/** A machine whose clock is behind must not refuse what was made just now. */
export const BACKDATED_MS = 60 * 60_000;

export interface AuthorityFiles {
  key: SigningKey;
  /** Of `ca.crt`: the one that issues, those above it, and others that are trusted too. */
  certificates: x509.X509Certificate[];
}

/**
 * Reads `ca.key` and `ca.crt` of a directory, and makes what is missing when both are. Replicas may do so at the same
 * moment: the first one to link a file into place has made it, and everybody reads that. Dying between the two leaves a
 * key, to which the next one adds the certificate.
 */
export async function openAuthorityFiles(directory: string): Promise<AuthorityFiles> {
  const keyPath = join(directory, 'ca.key');
  const certificatePath = join(directory, 'ca.crt');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (read(keyPath) === undefined) {
    if (read(certificatePath) !== undefined) {
      throw failedPrecondition(`${keyPath}: is missing, and its certificate ${certificatePath} is there`);
    }
    placeOnce(keyPath, await newPrivateKey(), 0o600);
  }
  const key = parseSigningKey(readFileSync(keyPath, 'utf8'), keyPath);
  if (read(certificatePath) === undefined) placeOnce(certificatePath, await selfSigned(key), 0o644);
  return { key, certificates: parseCertificates(readFileSync(certificatePath, 'utf8'), certificatePath) };
}

function parseCertificates(pem: string, path: string): x509.X509Certificate[] {
  try {
    return x509.PemConverter.decode(pem).map((der) => new x509.X509Certificate(der));
  } catch (error) {
    throw failedPrecondition(`${path}: holds something else than certificates in PEM`, { cause: error });
  }
}

async function selfSigned(key: SigningKey): Promise<string> {
  const publicKey = new x509.PublicKey(key.publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: 'CN=longshore',
    issuer: 'CN=longshore',
    publicKey,
    signingKey: key.privateKey,
    signingAlgorithm: key.algorithm,
    notBefore: new Date(Date.now() - BACKDATED_MS),
    notAfter: new Date(Date.now() + LIFETIME_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** Makes a whole file unless it exists: never half of one, and never over another's. */
function placeOnce(path: string, text: string, mode: number): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, text, { mode, flag: 'wx', flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
