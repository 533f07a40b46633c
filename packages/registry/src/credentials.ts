/** What a caller proves itself with, to one registry. */
export type Credentials =
  | { kind: 'password'; username: string; password: string }
  /** An OAuth2 refresh token, which the registry's token server gives access tokens for. */
  | { kind: 'refresh'; token: string };

/** A registry that wants to know who asks. */
export interface CredentialRequest {
  /** As in references: `host` or `host:port`. */
  host: string;
  /** What is asked for: `<host>/<repository>`. */
  reference: string;
  /** Values of the header of this name, as the registry sent them. */
  wwwAuthenticate: readonly string[];
}

/** Asked at most once by a client; `undefined` goes on without a name. */
export type CredentialSource = (
  request: CredentialRequest,
  signal: AbortSignal | undefined,
) => Promise<Credentials | undefined>;

/** The header value of HTTP's basic scheme. Source: RFC 7617. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
