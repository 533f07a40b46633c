import { LongshoreError } from '@longshore/errors';
import { parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import { endpointOf } from './endpoint.ts';
import { registryError } from './registry-error.ts';
import type { RegistryTransport } from './registry-transport.ts';
import { fetchToken } from './token.ts';

export interface LoginCheck {
  /** As in references. */
  host: string;
  credentials: Credentials;
  /** Loopback is always reached over HTTP. */
  plainHttp?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Whether a registry takes these credentials: resolves if so, and for a registry that asks nobody. Throws Unauthenticated when it refuses
 * them, Unavailable when it cannot be reached.
 */
export async function checkLogin(transport: RegistryTransport, check: LoginCheck): Promise<void> {
  const { host, plainHttp = false, signal } = check;
  const url = `${endpointOf(host, plainHttp)}/v2/`;
  const asked = await transport.send({ method: 'GET', url, headers: {}, signal });
  if (asked.statusCode === 200) return asked.body.dump();
  const body = await asked.body.text();
  if (asked.statusCode !== 401) throw registryError(`registry ${host}`, asked.statusCode, body);
  const challenges = [asked.headers['www-authenticate'] ?? []].flat();
  const authorization = await answerOf(transport, check, url, challenges);
  const response = await transport.send({ method: 'GET', url, headers: { authorization }, signal });
  const refusal = await response.body.text();
  if (response.statusCode !== 200) throw registryError(`registry ${host}`, response.statusCode, refusal);
}

async function answerOf(
  transport: RegistryTransport,
  { host, credentials, signal }: LoginCheck,
  url: string,
  challenges: readonly string[],
): Promise<string> {
  const parsed = parseChallenges(challenges);
  const challenge = parsed.find(({ scheme }) => scheme === 'bearer');
  if (challenge) {
    const allowsHttp = url.startsWith('http:');
    const token = await fetchToken(transport, { challenge, scopes: [], credentials, allowsHttp, signal });
    return `Bearer ${token.value}`;
  }
  if (credentials.kind === 'password' && parsed.some(({ scheme }) => scheme === 'basic')) {
    return basicAuthorization(credentials.username, credentials.password);
  }
  throw new LongshoreError('Unauthenticated', `registry ${host}: asks for what these credentials are not`);
}
