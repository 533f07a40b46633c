import { createHash } from 'node:crypto';
import { alreadyExists, failedPrecondition, unavailable } from '@longshore/errors';
import { type Pool, transaction } from '@longshore/postgres';
import type { IssuedCertificate } from './authority/certificate-authority.ts';
import { CertificateAuthority } from './authority/certificate-authority.ts';
import type { Issuer } from './authority/issuer.ts';
import type { JoinTokenParts } from './domain/join-token.ts';
import { isOtherMachine, type Node, type NodeReport, nodeSubject } from './domain/node.ts';
import { joined } from './domain/node-changes.ts';
import type { JoinToken, JoinTokenRepository } from './storage/postgres/join-token-repository.ts';
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
   * Throws Unauthenticated for a token that is no good, AlreadyExists when another machine has the id, FailedPrecondition
   * when the machine itself has it and the token was not made for it, Unavailable while what the node had before its
   * removal is not gone.
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
      const used = await tokens.use(tx, token, joiner);
      const node = await nodes.changeOrMake(tx, report, (stored, isNew) => {
        if (!isNew) requireFree(stored, report, used);
        return joined(stored, report, notice, used.labels);
      });
      const certificate = await issuer.issue({ kind: 'node', id: node.id }, certificateRequest, tx);
      return { node, certificate };
    });
  }
}

function requireFree(stored: Node, report: NodeReport, { nodeId, usedBy }: JoinToken): void {
  const subject = nodeSubject(stored.id);
  if (stored.isForgetting) throw unavailable(`${subject}: its removal is under way`);
  if (stored.state === 'gone') return;
  if (isOtherMachine(stored.machineId, report.machineId))
    throw alreadyExists(`${subject} on another machine`);
  // A machine id is no secret: any token at all must not be good for the name of a node that lives.
  if (nodeId !== stored.id && usedBy !== stored.id) {
    throw failedPrecondition(`${subject}: has joined already; only a token made for it lets it join again`);
  }
}
