import { createHash } from 'node:crypto';
import { alreadyExists, unavailable } from '@longshore/errors';
import { type Pool, transaction } from '@longshore/postgres';
import type { IssuedCertificate } from './authority/certificate-authority.ts';
import { CertificateAuthority } from './authority/certificate-authority.ts';
import type { Issuer } from './authority/issuer.ts';
import type { JoinTokenParts } from './domain/join-token.ts';
import { isOtherMachine, type Node, type NodeReport, nodeSubject } from './domain/node.ts';
import { joined } from './domain/node-changes.ts';
import type { JoinTokenRepository } from './storage/postgres/join-token-repository.ts';
import type { NodeRepository } from './storage/postgres/node-repository.ts';

export interface JoiningParts {
  pool: Pool;
  tokens: JoinTokenRepository;
  nodes: NodeRepository;
  issuer: Issuer;
}

/** Lets machines into the fleet: the token is used up, the node made, and its certificate issued, in one transaction. */
export class Joining {
  readonly #parts: JoiningParts;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /**
   * Throws Unauthenticated for a token that is no good, AlreadyExists when another machine has the id, Unavailable while
   * what the node had before its removal is not gone.
   */
  async join(
    token: JoinTokenParts,
    certificateRequest: string,
    report: NodeReport,
    notice: string,
  ): Promise<{ node: Node; certificate: IssuedCertificate }> {
    const { pool, tokens, nodes, issuer } = this.#parts;
    const publicKey = await CertificateAuthority.publicKeyOf(certificateRequest);
    const keyHash = createHash('sha256').update(Buffer.from(publicKey.rawData)).digest();
    return transaction(pool, async (tx) => {
      const joiner = { nodeId: report.id, machineId: report.machineId, keyHash };
      const { labels } = await tokens.use(tx, token, joiner);
      const node = await nodes.changeOrMake(tx, report, (stored) => {
        requireFree(stored, report);
        return joined(stored, report, notice, labels);
      });
      const certificate = await issuer.issue({ kind: 'node', id: node.id }, certificateRequest, tx);
      return { node, certificate };
    });
  }
}

function requireFree(stored: Node, report: NodeReport): void {
  if (stored.isForgetting) throw unavailable(`${nodeSubject(stored.id)}: its removal is under way`);
  if (stored.state !== 'gone' && isOtherMachine(stored.machineId, report.machineId)) {
    throw alreadyExists(`${nodeSubject(stored.id)} on another machine`);
  }
}
