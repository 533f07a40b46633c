import { LongshoreError } from '@longshore/errors';
import type { Challenge } from './challenge.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import { registryError } from './registry-error.ts';
import type { HttpRequest, RegistryTransport } from './registry-transport.ts';

export interface Token {
  value: string;
  expiresAt: number;
}

export interface TokenRequest {
  challenge: Challenge;
  /** e.g. `repository:library/redis:pull`; what the challenge itself asks for is added. */
  scopes: readonly string[];
  /** `undefined` for a token that everyone may have. */
  credentials: Credentials | undefined;
  /** Whether the registry itself is reached without TLS, and its token server may be. */
  allowsHttp: boolean;
  signal: AbortSignal | undefined;
}

/** What the specification says for a server that does not. */
const DEFAULT_LIFETIME_S = 60;
/** A token that ends sooner than this is not worth beginning with. */
const MARGIN_MS = 5_000;

/**
 * Gets an access token from the server that a registry's challenge names. Throws Unauthenticated when there is none to
 * be had. Source: distribution docs/content/spec/auth/{token,oauth}.md.
 */
export async function fetchToken(transport: RegistryTransport, wanted: TokenRequest): Promise<Token> {
  const realm = realmOf(wanted);
  const response = await transport.send(requestOf(realm, wanted));
  const body = await response.body.text().catch(() => '');
  if (response.statusCode === 401) throw refused(`token server ${realm.origin} does not know the caller`);
  if (response.statusCode !== 200) throw registryError(`token of ${realm.origin}`, response.statusCode, body);
  return tokenIn(body, realm);
}

export function isFresh({ expiresAt }: Token): boolean {
  return Date.now() < expiresAt;
}

/** A password goes there: so it must not be readable on the way, unless the registry's own is. */
function realmOf({ challenge, allowsHttp }: TokenRequest): URL {
  const realm = URL.parse(challenge.parameters.realm ?? '');
  if (!realm) throw refused('registry names no token server');
  if (realm.protocol === 'https:' || (realm.protocol === 'http:' && allowsHttp)) return realm;
  throw refused(`token server ${realm.origin} is not HTTPS`);
}

function requestOf(realm: URL, { challenge, scopes, credentials, signal }: TokenRequest): HttpRequest {
  const wanted = scopesOf(challenge, scopes);
  const fields = new URLSearchParams({ scope: wanted.join(' ') });
  const { service } = challenge.parameters;
  if (service !== undefined) fields.set('service', service);
  if (credentials?.kind === 'refresh') {
    fields.set('grant_type', 'refresh_token');
    fields.set('client_id', 'longshore');
    fields.set('refresh_token', credentials.token);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url: realm.href, headers, body: fields.toString(), signal };
  }
  for (const scope of wanted) realm.searchParams.append('scope', scope);
  if (service !== undefined) realm.searchParams.set('service', service);
  const headers: Record<string, string> = {};
  if (credentials) headers.authorization = basicAuthorization(credentials.username, credentials.password);
  return { method: 'GET', url: realm.href, headers, signal };
}

/** Those of `repository:a:pull` and `repository:a:pull,push` that say more. */
function scopesOf({ parameters }: Challenge, scopes: readonly string[]): string[] {
  const all = [...new Set([...(parameters.scope ?? '').split(' '), ...scopes])].filter(Boolean);
  return all.filter((scope) => !all.some((other) => other.startsWith(`${scope},`)));
}

function tokenIn(body: string, realm: URL): Token {
  const answer = parseAnswer(body);
  const value = answer.token || answer.access_token;
  if (typeof value !== 'string') throw refused(`token server ${realm.origin} answered without a token`);
  const lifetimeS = Number(answer.expires_in) || DEFAULT_LIFETIME_S;
  return { value, expiresAt: Date.now() + lifetimeS * 1000 - MARGIN_MS };
}

function parseAnswer(body: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(body)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function refused(problem: string): LongshoreError {
  return new LongshoreError('Unauthenticated', `${problem}: unauthenticated`);
}
