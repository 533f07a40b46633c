import { createHash } from 'node:crypto';
import { failedPrecondition, invalidArgument, messageOf, unavailable } from '@longshore/errors';
import type { JWTPayload, JWTVerifyOptions } from 'jose';
import type { Caller } from './caller.ts';
import { unauthenticated } from './unauthenticated.ts';

/** More than identity providers give, and less than takes long to look at. */
const MAX_TOKEN_LENGTH = 16 * 1024;
const MAX_GROUPS = 1_000;
/** How long a token that was verified is taken without looking again: keys are taken back within it. */
const TRUST_MS = 60_000;
const MAX_TRUSTED = 10_000;
const JWKS_TIMEOUT_MS = 5_000;
/** Keys are fetched again after this, and at once for a key that is not known, once in a while. */
const JWKS_MAX_AGE_MS = 5 * 60_000;
const JWKS_COOLDOWN_MS = 10_000;

/** What goes into a header and a log line as it is. */
const PLAIN = /^[!-~]([ -~]{0,253}[!-~])?$/;

/** What says that keys could not be had, rather than that a token is bad. */
const KEYS_AWAY: ReadonlySet<string> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

export interface OidcOptions {
  issuer: string;
  audience: string;
  jwksUrl: string;
  algorithms: readonly string[];
  /** The claim that has the groups: a list of names, or one. */
  groupsClaim: string;
  clockToleranceMs: number;
}

interface Trusted {
  caller: Caller;
  untilMs: number;
}

/** Takes the tokens (JWT) that an OpenID provider issues for this fleet. */
export class OidcVerifier {
  readonly #options: OidcOptions;
  readonly #verify: (token: string) => Promise<JWTPayload>;
  /** By the hash of the token, the oldest first. */
  readonly #trusted = new Map<string, Trusted>();

  private constructor(options: OidcOptions, verify: (token: string) => Promise<JWTPayload>) {
    this.#options = options;
    this.#verify = verify;
  }

  /** Asks nobody yet. Throws FailedPrecondition for a configuration that lacks something, or would trust the network. */
  static async open(options: OidcOptions): Promise<OidcVerifier> {
    const { issuer, audience, jwksUrl, algorithms, clockToleranceMs } = options;
    if (audience === '' || jwksUrl === '') {
      throw failedPrecondition(
        'OIDC: LONGSHORE_GATEWAY_OIDC_ISSUER needs LONGSHORE_GATEWAY_OIDC_AUDIENCE and LONGSHORE_GATEWAY_OIDC_JWKS_URL',
      );
    }
    // Loaded by who uses it only.
    const { createRemoteJWKSet, jwtVerify } = await import('jose');
    const keys = createRemoteJWKSet(checkedUrl(jwksUrl), {
      timeoutDuration: JWKS_TIMEOUT_MS,
      cacheMaxAge: JWKS_MAX_AGE_MS,
      cooldownDuration: JWKS_COOLDOWN_MS,
    });
    const wanted: JWTVerifyOptions = {
      issuer,
      audience,
      algorithms: [...algorithms],
      clockTolerance: clockToleranceMs / 1000,
      requiredClaims: ['exp', 'sub'],
    };
    return new OidcVerifier(options, async (token) => (await jwtVerify(token, keys, wanted)).payload);
  }

  /** Throws Unauthenticated for a token that is not good; Unavailable while the provider's keys cannot be had. */
  async verify(token: string): Promise<Caller> {
    if (token.length > MAX_TOKEN_LENGTH) throw unauthenticated('the bearer token is too long');
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#trusted.get(key);
    if (known && Date.now() < known.untilMs) return known.caller;
    this.#trusted.delete(key);
    const payload = await this.#verify(token).catch((error) => {
      throw refusalOf(error);
    });
    const caller = this.#callerOf(payload);
    const expiresMs = (payload.exp ?? 0) * 1000 + this.#options.clockToleranceMs;
    this.#trust(key, { caller, untilMs: Math.min(expiresMs, Date.now() + TRUST_MS) });
    return caller;
  }

  #trust(key: string, trusted: Trusted): void {
    if (this.#trusted.size >= MAX_TRUSTED) {
      for (const oldest of this.#trusted.keys()) {
        this.#trusted.delete(oldest);
        break;
      }
    }
    this.#trusted.set(key, trusted);
  }

  #callerOf(payload: JWTPayload): Caller {
    const { issuer, groupsClaim } = this.#options;
    const subject = payload.sub ?? '';
    if (!PLAIN.test(subject)) throw unauthenticated('the bearer token has no subject that can be written');
    const groups = [payload[groupsClaim] ?? []].flat();
    if (groups.length > MAX_GROUPS)
      throw unauthenticated(`the bearer token has more than ${MAX_GROUPS} groups`);
    const names = groups.filter((group): group is string => typeof group === 'string' && PLAIN.test(group));
    return { kind: 'oidc', name: `oidc/${issuer}#${subject}`, groups: names };
  }
}

/** Whoever is between could say what the keys are. */
function checkedUrl(text: string): URL {
  if (!URL.canParse(text)) throw invalidArgument(`OIDC: JWKS URL ${JSON.stringify(text)}: it is no URL`);
  const url = new URL(text);
  const isNear = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isNear)) return url;
  throw failedPrecondition(`OIDC: JWKS URL ${JSON.stringify(text)}: want https`);
}

function refusalOf(error: unknown): Error {
  const code = (error as { code?: unknown }).code;
  const isToken = typeof code === 'string' && code.startsWith('ERR_J') && !KEYS_AWAY.has(code);
  if (isToken) return unauthenticated(`the bearer token is not valid: ${messageOf(error)}`, error);
  return unavailable(`OIDC: the keys of the identity provider: ${messageOf(error)}`, { cause: error });
}
