import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { kindOf, messageOf } from '@longshore/errors';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type OidcOptions, OidcVerifier } from './oidc-verifier.ts';

const ISSUER = 'https://id.example/realm';
const AUDIENCE = 'longshore';

const good = await generateKeyPair('ES256');
const other = await generateKeyPair('ES256');
const keys = { keys: [{ ...(await exportJWK(good.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] };
let answered = 0;
const server = createServer((_, response) => {
  answered++;
  response.setHeader('content-type', 'application/json').end(JSON.stringify(keys));
});

let options: OidcOptions;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  options = {
    issuer: ISSUER,
    audience: AUDIENCE,
    jwksUrl: `http://127.0.0.1:${port}/keys`,
    algorithms: ['ES256', 'RS256'],
    groupsClaim: 'groups',
    clockToleranceMs: 5_000,
  };
});
afterAll(() => server.close());

function claims(more: Record<string, unknown> = {}) {
  const now = Math.floor(Date.now() / 1000);
  return { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 600, ...more };
}

function sign(more: Record<string, unknown> = {}, key = good.privateKey, kid = 'k1'): Promise<string> {
  return new SignJWT(claims(more)).setProtectedHeader({ alg: 'ES256', kid }).sign(key);
}

async function outcome(token: string, verifier?: OidcVerifier): Promise<string> {
  const asked = verifier ?? (await OidcVerifier.open(options));
  return asked.verify(token).then(
    ({ name, groups }) => `${name} ${groups.join()}`,
    (error) => `${kindOf(error)}: ${messageOf(error)}`,
  );
}

const bare = (header: object, body: object, signature = '') =>
  [header, body]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat(signature)
    .join('.');

describe('OidcVerifier', () => {
  it('takes a token that the provider issued for this fleet, with the groups of the claim', async () => {
    const groups = ['ops', 'a b', 7, '', 'bad\nname'];
    expect(await outcome(await sign({ groups }))).toBe(`oidc/${ISSUER}#alice ops,a b`);
    expect(await outcome(await sign({ groups: 'ops' }))).toBe(`oidc/${ISSUER}#alice ops`);
    expect(await outcome(await sign({ aud: ['x', AUDIENCE] }))).toBe(`oidc/${ISSUER}#alice `);
  });

  it.each([
    ['another audience', { aud: 'elsewhere' }],
    ['no audience', { aud: undefined }],
    ['another issuer', { iss: 'https://id.example/realm2' }],
    ['a time that is over', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['no end', { exp: undefined }],
    ['a time to come', { nbf: Math.floor(Date.now() / 1000) + 60 }],
    ['no subject', { sub: undefined }],
    ['a subject that breaks lines', { sub: 'a\r\nlongshore-caller: user/root' }],
    ['groups without number', { groups: Array.from({ length: 1001 }, (_, n) => `g${n}`) }],
  ])('refuses one with %s', async (_, wrong) => {
    expect(await outcome(await sign(wrong))).toMatch(/^Unauthenticated: the bearer token/);
  });

  it('refuses one without a signature, or with one of somebody else', async () => {
    const header = { alg: 'ES256', kid: 'k1' };
    const [, body = ''] = (await sign({ sub: 'mallory' })).split('.');
    const [head, , signature] = (await sign()).split('.');
    // The public key as a shared secret: the classic confusion.
    const secret = new TextEncoder().encode(await exportSPKI(good.publicKey));
    const confused = new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(secret);
    for (const token of [
      new UnsecuredJWT(claims()).setIssuer(ISSUER).setAudience(AUDIENCE).setSubject('alice').encode(),
      bare({ alg: 'none', kid: 'k1' }, claims()),
      bare(header, claims()),
      `${head}.${body}.${signature}`,
      await sign({}, other.privateKey),
      await sign({}, other.privateKey, 'k2'),
      await confused,
      'a.b.c',
      'x'.repeat(20_000),
    ]) {
      expect(await outcome(token)).toMatch(/^Unauthenticated: the bearer token/);
    }
  });

  it('looks again at one that it took after a while, and after its end at once', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const verifier = await OidcVerifier.open(options);
      const token = await sign({ exp: Math.floor(Date.now() / 1000) + 30 });
      expect(await outcome(token, verifier)).toMatch(/^oidc/);
      vi.setSystemTime(Date.now() + 34_000);
      expect(await outcome(token, verifier)).toMatch(/^oidc/);
      vi.setSystemTime(Date.now() + 2_000);
      expect(await outcome(token, verifier)).toMatch(/^Unauthenticated/);
    } finally {
      vi.useRealTimers();
    }
  });

  it('fetches the keys once, and says Unavailable while they cannot be had', async () => {
    const verifier = await OidcVerifier.open(options);
    const before = answered;
    for (let n = 0; n < 5; n++) expect(await outcome(await sign({ n }), verifier)).toMatch(/^oidc/);
    expect(answered - before).toBe(1);
    const away = await OidcVerifier.open({ ...options, jwksUrl: 'http://127.0.0.1:1/keys' });
    expect(await outcome(await sign(), away)).toMatch(
      /^Unavailable: OIDC: the keys of the identity provider/,
    );
  });

  it('is not made of a configuration that lacks something, or takes keys in the clear', async () => {
    await expect(OidcVerifier.open({ ...options, audience: '' })).rejects.toThrow(/OIDC_AUDIENCE/);
    await expect(OidcVerifier.open({ ...options, jwksUrl: 'http://id.example/keys' })).rejects.toThrow(
      /want https/,
    );
    await expect(OidcVerifier.open({ ...options, jwksUrl: 'keys' })).rejects.toThrow(/it is no URL/);
  });
});
