import { LongshoreError } from '@longshore/errors';
import { formatPeer, type Peer } from '@longshore/transport';
import type { AdminToken } from './admin-token.ts';
import { bearerOf } from './bearer.ts';
import type { Caller } from './caller.ts';
import type { Rule } from './rule.ts';
import { unauthenticated } from './unauthenticated.ts';

const LOCAL: Caller = { kind: 'local', name: 'local', groups: [] };
const BREAK_GLASS: Caller = { kind: 'token', name: 'token/gateway', groups: [] };

export interface AccessControlOptions {
  /** `$LONGSHORE_ROOT/gateway.token`, which may do everything. */
  adminToken: AdminToken;
}

/** Who calls at the edge, and what they may: the one place that decides, for gRPC and for HTTP. */
export class AccessControl {
  readonly #adminToken: AdminToken;

  constructor({ adminToken }: AccessControlOptions) {
    this.#adminToken = adminToken;
  }

  /**
   * Who makes a call. A bearer token counts before the certificate of the connection: it was given for this call. Throws
   * Unauthenticated for whom nobody knows, PermissionDenied for a part of the fleet that has no business here.
   */
  async authenticate(peer: Peer, authorization: string | undefined): Promise<Caller> {
    const token = bearerOf(authorization);
    if (token !== undefined) return this.#byToken(token);
    switch (peer.kind) {
      case 'local':
        return LOCAL;
      case 'user':
      case 'service':
        return { kind: 'certificate', name: formatPeer(peer), groups: [] };
      case 'node':
        throw new LongshoreError(
          'PermissionDenied',
          `${formatPeer(peer)} may not call here: permission denied`,
        );
      case 'anonymous':
        throw unauthenticated('a bearer token or a certificate is required');
    }
  }

  /** Throws PermissionDenied; `namespace` is that of the call, empty when it names none. */
  authorize(_caller: Caller, _rule: Rule, _namespace: string): void {
    // Whoever is known may do everything, until roles are bound.
  }

  #byToken(token: string): Caller {
    if (this.#adminToken.matches(token)) return BREAK_GLASS;
    throw unauthenticated('the bearer token is not valid');
  }
}
