/** Signed with a key of its own by who issues; a shared secret, or no signature, proves nothing here. */
export const OIDC_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;
