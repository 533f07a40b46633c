import { createHash } from 'node:crypto';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import { formatPeer, type NamedPeer, peerUri } from '@longshore/transport';
import { BACKDATED_MS, openAuthorityFiles } from './authority-files.ts';
import type { SigningKey } from './authority-key.ts';
import { newSerial } from './serial.ts';
import { x509 } from './x509.ts';

/** Requests are some 500 bytes; an RSA one of 8192 bits has about 3 KiB. */
const MAX_REQUEST_LENGTH = 16 * 1024;

export interface IssuedCertificate {
  serial: string;
  identity: string;
  notAfter: Date;
  /** The certificate, then those between it and the root, in PEM. */
  chain: string;
}

/** Makes certificates. It remembers none: whoever asks records what was issued. */
export class CertificateAuthority {
  /** Every authority that is trusted, in PEM. */
  readonly authorities: string;
  /** SHA-256 of the certificate that issues, in lower-case hexadecimal. */
  readonly fingerprint: string;
  /** SHA-256 of each authority. */
  readonly fingerprints: ReadonlySet<string>;
  /** SHA-256 of the root of the chain of what is issued: what a joining machine trusts. */
  readonly rootFingerprint: Buffer;
  readonly #key: SigningKey;
  readonly #issuer: x509.X509Certificate;
  /** From the issuer to its self-signed root. */
  readonly #path: x509.X509Certificate[];

  private constructor(key: SigningKey, path: x509.X509Certificate[], all: x509.X509Certificate[]) {
    this.#key = key;
    this.#path = path;
    this.#issuer = path[0]!;
    this.authorities = pemOf(all);
    this.fingerprint = sha256(this.#issuer).toString('hex');
    this.fingerprints = new Set(all.map((certificate) => sha256(certificate).toString('hex')));
    this.rootFingerprint = sha256(path.at(-1)!);
  }

  /** Throws FailedPrecondition when the files of the directory are not those of an authority. */
  static async open(directory: string): Promise<CertificateAuthority> {
    const { key, certificates } = await openAuthorityFiles(directory);
    const issuer = certificates.find(({ publicKey }) => Buffer.from(publicKey.rawData).equals(key.publicKey));
    if (!issuer) throw failedPrecondition(`${directory}/ca.crt: no certificate in it belongs to ca.key`);
    if (!issuer.getExtension(x509.BasicConstraintsExtension)?.ca) {
      throw failedPrecondition(`${directory}/ca.crt: the certificate of ca.key is not an authority's`);
    }
    return new CertificateAuthority(key, await pathOf(issuer, certificates, directory), certificates);
  }

  /** The chain with the root at its end, for showing to who has nothing but the root's fingerprint. */
  withRoot(chain: string): string {
    return chain + pemOf(this.#path.slice(-1));
  }

  /** Checks that a PKCS #10 request in PEM is signed by its own key. Throws InvalidArgument. */
  static async publicKeyOf(certificateRequest: string): Promise<x509.PublicKey> {
    if (certificateRequest.length > MAX_REQUEST_LENGTH)
      throw invalidArgument('certificate request: too long');
    try {
      const request = new x509.Pkcs10CertificateRequest(certificateRequest);
      if (await request.verify()) return request.publicKey;
    } catch (error) {
      throw invalidArgument('certificate request: want PKCS #10 in PEM', { cause: error });
    }
    throw invalidArgument('certificate request: is not signed by its key');
  }

  /** For both ends of a connection. It ends with its authority if that ends first. */
  async issue(
    identity: NamedPeer,
    publicKey: x509.PublicKey,
    now: Date,
    lifetimeMs: number,
  ): Promise<IssuedCertificate> {
    const serial = newSerial();
    const notAfter = new Date(Math.min(now.getTime() + lifetimeMs, this.#issuer.notAfter.getTime()));
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: [{ CN: [formatPeer(identity)] }],
      issuer: this.#issuer.subject,
      publicKey,
      signingKey: this.#key.privateKey,
      signingAlgorithm: this.#key.algorithm,
      notBefore: new Date(now.getTime() - BACKDATED_MS),
      notAfter,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.clientAuth,
          x509.ExtendedKeyUsage.serverAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: peerUri(identity) }]),
        await x509.AuthorityKeyIdentifierExtension.create(this.#issuer),
      ],
    });
    const between = this.#path.slice(0, -1);
    return { serial, identity: formatPeer(identity), notAfter, chain: pemOf([certificate, ...between]) };
  }
}

async function pathOf(
  issuer: x509.X509Certificate,
  all: x509.X509Certificate[],
  directory: string,
): Promise<x509.X509Certificate[]> {
  const path = [issuer];
  for (let last = issuer; !(await last.isSelfSigned()); ) {
    const above = all.find(({ subject }) => subject === last.issuer);
    if (!above || path.includes(above)) {
      throw failedPrecondition(
        `${directory}/ca.crt: has no certificate of ${JSON.stringify(last.issuer)}; want the chain up to its root`,
      );
    }
    path.push(above);
    last = above;
  }
  return path;
}

function sha256(certificate: x509.X509Certificate): Buffer {
  return createHash('sha256').update(Buffer.from(certificate.rawData)).digest();
}

function pemOf(certificates: x509.X509Certificate[]): string {
  return certificates.map((certificate) => `${certificate.toString('pem')}\n`).join('');
}
