import { LongshoreError } from '@longshore/errors';
import { formatPeer, type Peer } from '@longshore/transport';
import type { AccessDirectory, AccessState } from './access-directory.ts';
import type { AdminToken } from './admin-token.ts';
import { isGood, parseApiToken } from './api-token.ts';
import { bearerOf } from './bearer.ts';
import type { Caller } from './caller.ts';
import { WHOLE_FLEET } from './role.ts';
import type { Rule } from './rule.ts';
import { unauthenticated } from './unauthenticated.ts';

const LOCAL: Caller = { kind: 'local', name: 'local', groups: [] };
/** Who can read the gateway's own file may do everything: it is the way back in when nobody else may. */
const BREAK_GLASS: Caller = { kind: 'local', name: 'token/gateway', groups: [] };

/** Knows bearer tokens of an identity provider. */
export interface BearerVerifier {
  /** Throws Unauthenticated; Unavailable while that cannot be said. */
  verify(token: string): Promise<Caller>;
}

export interface AccessControlOptions {
  /** `$LONGSHORE_ROOT/gateway.token`. */
  adminToken: AdminToken;
  directory: Pick<AccessDirectory, 'current' | 'newest'>;
  oidc?: BearerVerifier | undefined;
}

/** Who calls at the edge, and what they may: the one place that decides, for gRPC and for HTTP. */
export class AccessControl {
  readonly #options: AccessControlOptions;

  constructor(options: AccessControlOptions) {
    this.#options = options;
  }

  /**
   * Who makes a call. A bearer token counts before the certificate of the connection: it was given for this call. Throws
   * Unauthenticated for whom nobody knows, PermissionDenied for a part of the fleet that has no business here, Unavailable
   * while that cannot be said.
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
        throw denied(`${formatPeer(peer)} may not call here`);
      case 'anonymous':
        throw unauthenticated('a bearer token or a certificate is required');
    }
  }

  /**
   * Throws PermissionDenied, or Unavailable while that cannot be said. `namespace` is that of the call, empty when it names
   * none; then only who may everywhere may.
   */
  async authorize(caller: Caller, rule: Rule, namespace: string): Promise<void> {
    if (caller.kind === 'local' || rule.on === 'nothing' || rule.on === 'self') return;
    if (rule.on === 'somewhere') {
      if (await this.#isSaid(({ grants }) => grants.allowsSomewhere(caller, rule.need))) return;
      throw denied(`${caller.name} may not ${rule.need} in any namespace`);
    }
    const place = rule.on === 'fleet' || namespace === '' ? WHOLE_FLEET : namespace;
    if (await this.#isSaid(({ grants }) => grants.allows(caller, rule.need, place))) return;
    throw denied(`${caller.name} may not ${rule.need} in ${describe(place)}`);
  }

  /** For a call that would give its caller the host, because of `reason`. Throws as {@link authorize}. */
  async authorizeHost(caller: Caller, namespace: string, reason: string): Promise<void> {
    if (caller.kind === 'local') return;
    const place = namespace === '' ? WHOLE_FLEET : namespace;
    if (await this.#isSaid(({ grants }) => grants.allowsHost(caller, place))) return;
    throw denied(`${caller.name} lacks the role host in ${describe(place)}, which this needs: ${reason}`);
  }

  /**
   * Whether a caller may be told of what happens in a namespace; empty, and of a name that is no client's, is the whole fleet's.
   * By what is known here: a role that was given a moment ago may count a little later. Throws Unavailable.
   */
  async sees(caller: Caller, namespace: string): Promise<boolean> {
    if (caller.kind === 'local') return true;
    const { grants } = await this.#options.directory.current();
    return grants.allows(caller, 'read', namespace === '' ? WHOLE_FLEET : namespace);
  }

  /** Whoever would be refused may have been let in a moment ago, by another gateway. */
  async #isSaid(says: (state: AccessState) => boolean): Promise<boolean> {
    const { directory } = this.#options;
    return says(await directory.current()) || says(await directory.newest());
  }

  async #byToken(token: string): Promise<Caller> {
    const { adminToken, oidc } = this.#options;
    if (adminToken.matches(token)) return BREAK_GLASS;
    const parts = parseApiToken(token);
    if (parts) {
      const isKnown = await this.#isSaid(({ tokens }) => {
        const stored = tokens.get(parts.id);
        return stored !== undefined && isGood(stored, parts.secret);
      });
      if (isKnown) return { kind: 'token', name: `token/${parts.id}`, groups: [] };
    } else if (oidc) return oidc.verify(token);
    throw unauthenticated('the bearer token is not valid');
  }
}

function describe(place: string): string {
  return place === WHOLE_FLEET ? 'the whole fleet' : `namespace ${JSON.stringify(place)}`;
}

function denied(problem: string): LongshoreError {
  return new LongshoreError('PermissionDenied', `${problem}: permission denied`);
}
