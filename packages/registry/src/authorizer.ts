import { parseChallenges } from './challenge.ts';
import { basicAuthorization, type CredentialSource, type Credentials } from './credentials.ts';
import type { RegistryTransport } from './registry-transport.ts';
import { fetchToken, isFresh, type Token } from './token.ts';

export interface AuthorizerOptions {
  transport: RegistryTransport;
  /** As in references. */
  host: string;
  /** Whether the registry is reached without TLS. */
  allowsHttp: boolean;
  credentials: CredentialSource | undefined;
}

/**
 * Proves one caller to one registry, as the registry asks for it. Tokens are kept for as long as they hold, and only
 * here: another caller has an authorizer of its own.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens = new Map<string, Token>();
  #basic: string | undefined;
  #asked: Promise<Credentials | undefined> | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The header `authorization` to begin with; `undefined` as long as nothing was asked for. */
  current(scopes: readonly string[]): string | undefined {
    const token = this.#tokens.get(scopes.join(' '));
    if (token && isFresh(token)) return `Bearer ${token.value}`;
    return this.#basic;
  }

  /**
   * A header that answers the challenges of a registry which did not take `rejected`; `undefined` when there is none.
   * Throws Unauthenticated when a token server refuses the caller.
   */
  async answer(
    challenges: readonly string[],
    repository: string,
    scopes: readonly string[],
    rejected: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const parsed = parseChallenges(challenges);
    const bearer = parsed.find(({ scheme }) => scheme === 'bearer');
    const credentials = await this.#credentials(repository, challenges, signal);
    if (bearer) {
      const { transport, allowsHttp } = this.#options;
      const token = await fetchToken(transport, {
        challenge: bearer,
        scopes,
        credentials,
        allowsHttp,
        signal,
      });
      this.#tokens.set(scopes.join(' '), token);
      return `Bearer ${token.value}`;
    }
    const isBasic = parsed.some(({ scheme }) => scheme === 'basic');
    if (!isBasic || credentials?.kind !== 'password') return undefined;
    const header = basicAuthorization(credentials.username, credentials.password);
    this.#basic = header;
    return header === rejected ? undefined : header;
  }

  #credentials(
    repository: string,
    wwwAuthenticate: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Credentials | undefined> {
    const { host, credentials } = this.#options;
    const request = { host, reference: `${host}/${repository}`, wwwAuthenticate };
    this.#asked ??= credentials?.(request, signal) ?? Promise.resolve(undefined);
    return this.#asked;
  }
}
