/** Who makes a call, once proven. */
export interface Caller {
  /**
   * `local` is who owns the unix socket; `token` an API token; `oidc` a bearer token of the identity provider; `anonymous`
   * whoever uses what is open to all.
   */
  readonly kind: 'anonymous' | 'local' | 'certificate' | 'oidc' | 'token';
  /** As roles are bound to it and audit records name it, e.g. `user/alice`, `service/ci`, `oidc/<issuer>#<subject>`. */
  readonly name: string;
  readonly groups: readonly string[];
}
