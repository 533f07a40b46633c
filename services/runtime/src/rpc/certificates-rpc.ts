import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type Pool, type Queryable, transaction } from '@longshore/postgres';
import type { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { formatPeer, type NamedPeer, type Peer, parsePeer } from '@longshore/transport';
import type { IssuedCertificate } from '../authority/certificate-authority.ts';
import type { Issuer } from '../authority/issuer.ts';
import { requirePresent } from '../domain/node.ts';
import type { RevocationList } from '../revocation-list.ts';
import type { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import type { NodeRepository } from '../storage/postgres/node-repository.ts';

export interface CertificateParts {
  pool: Pool;
  issuer: Issuer;
  certificates: CertificateRepository;
  nodes: NodeRepository;
  revocations: RevocationList;
  stopping: AbortSignal;
}

/** `longshore.runtime.v1.CertificateService`. */
export function certificatesRpc(parts: CertificateParts): Handlers<typeof CertificateService> {
  const { pool, issuer, certificates, nodes, revocations, stopping } = parts;

  function answer({ chain, notAfter }: IssuedCertificate) {
    return {
      certificate: chain,
      authorities: issuer.authority.authorities,
      expiresAt: timestampFromDate(notAfter),
    };
  }

  type Renewing = (tx: Queryable) => Promise<IssuedCertificate>;

  /** Under the node's lock: a removal either refuses this, or revokes what comes of it. */
  async function renewNode(id: string, renew: Renewing): Promise<IssuedCertificate> {
    let issued: IssuedCertificate | undefined;
    const decide = (node: Parameters<typeof requirePresent>[0]) => {
      requirePresent(node);
      return {};
    };
    await nodes.change(id, decide, {
      after: async (tx) => {
        issued = await renew(tx);
      },
    });
    return issued!;
  }

  return {
    async renew({ certificateRequest }, { peer, certificateSerial = '', log }) {
      const identity = namedPeer(peer);
      const renew: Renewing = async (tx) => {
        await certificates.requireGood(tx, formatPeer(identity), certificateSerial);
        return issuer.issue(identity, certificateRequest, tx);
      };
      const issued =
        identity.kind === 'node' ? await renewNode(identity.id, renew) : await transaction(pool, renew);
      log.info({ identity: issued.identity, serial: issued.serial }, 'certificate renewed');
      return answer(issued);
    },

    async issue({ identity, certificateRequest }, { log }) {
      const peer = parsePeer(identity);
      if (peer.kind === 'node') {
        throw invalidArgument(`identity ${JSON.stringify(identity)}: nodes get theirs by joining`);
      }
      const issued = await issuer.issue(peer, certificateRequest);
      log.info({ identity: issued.identity, serial: issued.serial }, 'certificate issued');
      return answer(issued);
    },

    async revoke({ what }, { log }) {
      if (what.case === 'serial') await certificates.revokeSerial(parseSerial(what.value));
      else if (what.case === 'identity') await certificates.revokeIdentity(formatPeer(parsePeer(what.value)));
      else throw invalidArgument('revocation: serial or identity must be set');
      log.warn({ [what.case]: what.value }, 'certificates revoked');
      await revocations.look();
      return {};
    },

    async *watchRevocations(_request, call) {
      const signal = AbortSignal.any([call.signal, stopping]);
      for await (const serials of revocations.watch(signal)) yield { serials };
    },
  };
}

function namedPeer(peer: Peer): NamedPeer {
  if ('id' in peer || 'name' in peer) return peer;
  throw failedPrecondition('certificate: the caller showed none that could be renewed');
}

function parseSerial(text: string): string {
  const serial = text
    .replaceAll(':', '')
    .toLowerCase()
    .replace(/^0+(?=.)/, '');
  if (/^[0-9a-f]{1,40}$/.test(serial)) return serial;
  throw invalidArgument(`serial number ${JSON.stringify(text)}: want hexadecimal digits`);
}
