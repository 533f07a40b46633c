import { durationMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { failedPrecondition, invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import type { NodeAdminService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { formatPeer } from '@longshore/transport';
import { formatJoinToken, newJoinToken } from '../domain/join-token.ts';
import { requirePresent } from '../domain/node.ts';
import { cordoned, drained, removed } from '../domain/node-changes.ts';
import type { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import type { JoinTokenRepository } from '../storage/postgres/join-token-repository.ts';
import type { NodeRepository } from '../storage/postgres/node-repository.ts';
import { labelsFromProto, nodeToProto } from './convert-node.ts';

const DEFAULT_TTL_MS = 60 * 60_000;
const MAX_TTL_MS = 7 * 24 * 60 * 60_000;
const DEFAULT_GRACE_MS = 30_000;

export interface NodeAdminParts {
  nodes: NodeRepository;
  tokens: JoinTokenRepository;
  certificates: CertificateRepository;
  /** Of the authority that joining machines are to trust. */
  rootFingerprint: Buffer;
  /** Where machines join; empty when nobody can. */
  joinAddress: string;
  /** Called when certificates were revoked. */
  onRevoked(): void;
}

/** `longshore.runtime.v1.NodeAdminService`. */
export function nodeAdminRpc(parts: NodeAdminParts): Handlers<typeof NodeAdminService> {
  const { nodes, tokens, certificates } = parts;
  return {
    async createJoinToken({ ttl, nodeId, labels }) {
      const server = parts.joinAddress;
      if (server === '') {
        throw failedPrecondition('joining: nobody listens for it; set LONGSHORE_RUNTIME_JOIN_LISTEN');
      }
      const ttlMs = ttl ? durationMs(ttl) : DEFAULT_TTL_MS;
      if (!(ttlMs > 0 && ttlMs <= MAX_TTL_MS)) {
        throw invalidArgument('join token: ttl must be more than nothing and at most seven days');
      }
      if (nodeId !== '') parseIdentifier(nodeId, 'node ID');
      const token = newJoinToken(parts.rootFingerprint);
      const { id, expiresAt } = await tokens.create(token, nodeId, labelsFromProto(labels), ttlMs);
      return { id, token: formatJoinToken(token), expiresAt: timestampFromDate(expiresAt), server };
    },

    async listJoinTokens() {
      const all = await tokens.list();
      return {
        tokens: all.map(({ createdAt, expiresAt, ...token }) => ({
          ...token,
          createdAt: timestampFromDate(createdAt),
          expiresAt: timestampFromDate(expiresAt),
        })),
      };
    },

    async deleteJoinToken({ id }) {
      await tokens.delete(id);
      return {};
    },

    async setCordon({ id, cordoned: isCordoned }) {
      return { node: nodeToProto(await nodes.change(id, (stored) => cordoned(stored, isCordoned))) };
    },

    async drain({ id, grace }) {
      const graceMs = grace ? durationMs(grace) : DEFAULT_GRACE_MS;
      if (graceMs < 0) throw invalidArgument('drain: the grace time must not be negative');
      return { node: nodeToProto(await nodes.change(id, (stored) => drained(stored, graceMs))) };
    },

    async remove({ id, force }) {
      const node = await nodes.change(id, (stored) => removed(stored, force), {
        after: async (tx) => {
          await certificates.revokeIdentity(formatPeer({ kind: 'node', id }), tx);
          await tokens.expireUsedBy(tx, id);
        },
      });
      parts.onRevoked();
      return { node: nodeToProto(node) };
    },

    async setLabels({ id, labels }) {
      const operatorLabels = labelsFromProto(labels);
      const node = await nodes.change(id, (stored) => {
        requirePresent(stored);
        return { operatorLabels };
      });
      return { node: nodeToProto(node) };
    },
  };
}
