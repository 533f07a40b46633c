import { failedPrecondition } from '@longshore/errors';
import type { Queryable } from '@longshore/postgres';
import type { NamedPeer } from '@longshore/transport';
import type { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import { CertificateAuthority, type IssuedCertificate } from './certificate-authority.ts';

export interface Lifetimes {
  nodeCertificateTtlMs: number;
  /** Of services and users. */
  certificateTtlMs: number;
}

/** Issues certificates and records them, so that they can be revoked. */
export class Issuer {
  readonly authority: CertificateAuthority;
  readonly #certificates: CertificateRepository;
  readonly #lifetimes: Lifetimes;

  private constructor(
    authority: CertificateAuthority,
    certificates: CertificateRepository,
    lifetimes: Lifetimes,
  ) {
    this.authority = authority;
    this.#certificates = certificates;
    this.#lifetimes = lifetimes;
  }

  /** Throws FailedPrecondition when other replicas issue by an authority that this one does not know. */
  static async open(
    directory: string,
    certificates: CertificateRepository,
    lifetimes: Lifetimes,
  ): Promise<Issuer> {
    const authority = await CertificateAuthority.open(directory);
    const inPlace = await certificates.claimAuthority(authority.fingerprint, authority.fingerprints);
    if (inPlace !== authority.fingerprint) {
      throw failedPrecondition(
        `certificate authority in ${directory}: has the fingerprint ${authority.fingerprint}, the fleet's has ${inPlace}; ` +
          "copy ca.crt and ca.key from a replica that runs. To change to a new authority, keep the fleet's in ca.crt beside it",
      );
    }
    return new Issuer(authority, certificates, lifetimes);
  }

  /** Within the transaction of what it is for, if any. Throws InvalidArgument for a bad request. */
  async issue(identity: NamedPeer, certificateRequest: string, tx?: Queryable): Promise<IssuedCertificate> {
    const publicKey = await CertificateAuthority.publicKeyOf(certificateRequest);
    const now = await this.#certificates.now(tx);
    const lifetimeMs =
      identity.kind === 'node' ? this.#lifetimes.nodeCertificateTtlMs : this.#lifetimes.certificateTtlMs;
    const issued = await this.authority.issue(identity, publicKey, now, lifetimeMs);
    await this.#certificates.record(issued, tx);
    return issued;
  }
}
