/** Who makes a call, once proven. */
export interface Caller {
  /**
   * `local` is who owns the unix socket, or has the token of the gateway's own file, and may do everything; `token` an API
   * token; `oidc` a bearer token of the identity provider; `anonymous` whoever uses what is open to all.
   */
  readonly kind: 'anonymous' | 'local' | 'certificate' | 'oidc' | 'token';
  /** As roles are bound to it and audit records name it, e.g. `user/alice`, `service/ci`, `oidc/<issuer>#<subject>`. */
  readonly name: string;
  readonly groups: readonly string[];
}

/** A caller as the door tells it to the gateway's own server, by a header that no other part gets. */
export function encodeCaller(caller: Caller): string {
  return Buffer.from(JSON.stringify(caller)).toString('base64url');
}

export function decodeCaller(header: string): Caller {
  return JSON.parse(Buffer.from(header, 'base64url').toString());
}
