import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { type ClientHttp2Session, constants } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '@longshore/transport/testing';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AuditTrail } from '../testing/audit-trail.ts';
import { bearerCall } from '../testing/bearer-call.ts';
import { beginCall, openSession, statusOf } from '../testing/edge-session.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

const IMAGES = '/containerd.services.images.v1.Images';
const READ = '/containerd.services.content.v1.Content/Read';
/** The gateway's, far below what is sensible. */
const AT_ONCE = 20;
const STRIKES = 5;
const ENHANCE_YOUR_CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM;

const directory = mkdtempSync(join(tmpdir(), 'longshore-attacks-'));
const tls = new TestAuthority(directory).issue('service/gateway');

let gateway: GatewayFixture;
let trail: AuditTrail;
/** Tokens of operators of the namespaces `shop` and `other`. */
let shop: string;
let other: string;

async function newToken(namespace: string): Promise<string> {
  const answer = await gateway.send('POST', '/v1/tokens', { role: 'operator', namespace });
  return ((await answer.json()) as { secret: string }).secret;
}

const ISSUER = 'https://id.example/realm';
const provider = await generateKeyPair('ES256');
const jwks = { keys: [{ ...(await exportJWK(provider.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] };
const keyServer = createServer((_, response) => {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(jwks));
});

beforeAll(async () => {
  await once(keyServer.listen(0, '127.0.0.1'), 'listening');
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: tls.tlsCert,
    LONGSHORE_TLS_KEY: tls.tlsKey,
    LONGSHORE_TLS_CA: tls.tlsCa,
    LONGSHORE_GATEWAY_CALLS_AT_ONCE: String(AT_ONCE),
    LONGSHORE_GATEWAY_STRIKES_PER_SECOND: String(STRIKES),
    LONGSHORE_GATEWAY_REQUEST_TIMEOUT_MS: '300',
    LONGSHORE_GATEWAY_UNREAD_TIMEOUT_MS: '500',
    LONGSHORE_GATEWAY_OIDC_ISSUER: ISSUER,
    LONGSHORE_GATEWAY_OIDC_AUDIENCE: 'longshore',
    LONGSHORE_GATEWAY_OIDC_JWKS_URL: `http://127.0.0.1:${(keyServer.address() as AddressInfo).port}/keys`,
  });
  trail = new AuditTrail(gateway.database.url);
  [shop, other] = [await newToken('shop'), await newToken('other')];
});
beforeEach(() => {
  gateway.takeSeen();
});
afterEach(() => {
  for (const backend of Object.values(gateway.backends)) backend.trouble = async () => undefined;
});
afterAll(async () => {
  await trail.close();
  await gateway.close();
  keyServer.closeAllConnections();
  keyServer.close();
  rmSync(directory, { recursive: true });
});

/** Another tenant is served all the while. */
async function expectOthersServed(): Promise<void> {
  expect(
    await call(`${IMAGES}/List`, { authorization: `Bearer ${other}`, 'containerd-namespace': 'other' }),
  ).toBe(0);
}

async function call(path: string, headers: Record<string, string | string[]>): Promise<number> {
  return (await bearerCall(gateway.grpc, path, { tls, headers })).code;
}

async function session(): Promise<ClientHttp2Session> {
  const opened = await openSession(gateway.grpc, tls);
  onTestFinished(() => opened.destroy());
  return opened;
}

const credentials = () => ({ authorization: `Bearer ${shop}`, 'containerd-namespace': 'shop' });

/** Does something over and over until the connection is ended; answers the code of GOAWAY. */
async function untilEnded(connection: ClientHttp2Session, act: () => Promise<unknown>): Promise<number> {
  const ended = once(connection, 'goaway');
  for (let n = 0; n < 50 * STRIKES && !connection.closed && !connection.destroyed; n++) await act();
  const [code] = await ended;
  return code;
}

describe('HTTP/2 rapid reset', () => {
  it('ends the connection, and no other', async () => {
    gateway.backends.image.trouble = () => new Promise(() => undefined);
    const connection = await session();
    const code = await untilEnded(connection, async () => {
      const stream = beginCall(connection, `${IMAGES}/List`, credentials());
      stream.close(constants.NGHTTP2_CANCEL);
      await once(stream, 'close');
    });
    expect(code).toBe(ENHANCE_YOUR_CALM);
    gateway.backends.image.trouble = async () => undefined;
    await expectOthersServed();
    await expect
      .poll(async () => (await trail.refusals()).map(({ reason }) => reason))
      .toContain('connection ended: resets');
  });

  it('is not what a caller does that cancels what has been answered', async () => {
    const connection = await session();
    for (let n = 0; n < 15 * STRIKES; n++) {
      const stream = beginCall(connection, READ, credentials()).end(Buffer.alloc(5));
      await once(stream, 'response');
      stream.close(constants.NGHTTP2_CANCEL);
      await once(stream, 'close');
    }
    expect(connection.closed).toBe(false);
  });
});

describe('callers whom nobody knows', () => {
  it.each([
    ['a token that was made up', 'Bearer lst_0000_secret'],
    [
      'a token that is signed by nobody',
      `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"admin"}').toString('base64url')}.`,
    ],
  ])('are refused with %s', async (_, authorization) => {
    expect(await call(`${IMAGES}/List`, { ...credentials(), authorization })).toBe(16);
    expect(await call(`${IMAGES}/Delete`, { ...credentials(), authorization })).toBe(16);
    expect(gateway.takeSeen()).toEqual([]);
  });

  it('are refused with a token of the identity provider that is not good here, over HTTP too', async () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: ISSUER, aud: 'longshore', sub: 'eve', exp: now + 600 };
    const sign = (more: object, key = provider.privateKey) =>
      new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(key);
    const outcome = async (token: string) => {
      const authorization = `Bearer ${token}`;
      const code = await call(`${IMAGES}/List`, { authorization, 'containerd-namespace': 'shop' });
      return [code, (await gateway.get('/v1/images?namespace=shop', token)).status];
    };
    const good = await sign({});
    // Known, and nobody's.
    expect(await outcome(good)).toEqual([7, 403]);
    await gateway.bind(`oidc/${ISSUER}#eve`, 'viewer', 'shop');
    expect(await outcome(good)).toEqual([0, 200]);
    gateway.takeSeen();
    const { privateKey: other } = await generateKeyPair('ES256');
    for (const bad of [
      await sign({ exp: now - 60 }),
      await sign({ aud: 'another-fleet' }),
      await sign({ iss: 'https://id.example/other' }),
      await sign({}, other),
      new UnsecuredJWT(claims).encode(),
    ]) {
      expect(await outcome(bad)).toEqual([16, 401]);
    }
    expect(gateway.takeSeen()).toEqual([]);
    const reasons = async () => (await trail.refusals()).map(({ error, reason }) => `${error} ${reason}`);
    await expect
      .poll(reasons)
      .toEqual(expect.arrayContaining([expect.stringMatching(/^Unauthenticated .*"exp" claim/)]));
  });

  it('lose their connection when they go on', async () => {
    const connection = await session();
    const code = await untilEnded(connection, () =>
      statusOf(beginCall(connection, `${IMAGES}/List`, { 'containerd-namespace': 'shop' }).end()),
    );
    expect(code).toBe(ENHANCE_YOUR_CALM);
    await expectOthersServed();
  });
});

describe('a request that does not come', () => {
  it.each([`${IMAGES}/Delete`, `${IMAGES}/List`])('of %s is given up', async (path) => {
    const stream = beginCall(await session(), path, credentials());
    stream.write(Buffer.from([0, 0]));
    expect(await statusOf(stream)).toBe(4);
    await expectOthersServed();
  });
});

describe('an answer that nobody reads', () => {
  it('is cut, and holds little memory until then', async () => {
    const connection = await session();
    const before = gateway.backends.content.sentBytes;
    const streams = Array.from({ length: 5 }, () =>
      beginCall(connection, READ, credentials()).end(Buffer.alloc(5)),
    );
    for (const stream of streams) await once(stream, 'response');
    await expectOthersServed();
    for (const stream of streams) if (!stream.closed) await once(stream, 'close');
    // The windows of two connections, and what lies between them.
    expect((gateway.backends.content.sentBytes - before) / streams.length).toBeLessThan(4 * 1024 * 1024);
  });
});

describe('calls at once', () => {
  it('are so many for one caller, however many connections it has', async () => {
    gateway.backends.image.trouble = ({ namespace, signal }) =>
      namespace === 'shop'
        ? new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
        : Promise.resolve();
    const connections = [await session(), await session()];
    const begin = (n: number) =>
      beginCall(connections[n % 2]!, `${IMAGES}/List`, credentials()).end(Buffer.alloc(5));
    const waiting = Array.from({ length: AT_ONCE }, (_, n) => begin(n));
    await expect.poll(() => gateway.backends.image.seen.length).toBe(AT_ONCE);
    const oneMore = begin(0);
    const [headers] = await once(oneMore, 'response');
    expect(headers).toMatchObject({ 'grpc-status': '8', 'grpc-retry-pushback-ms': '1000' });
    await expectOthersServed();
    for (const stream of waiting) stream.close(constants.NGHTTP2_CANCEL);
    gateway.backends.image.trouble = async () => undefined;
    await expect.poll(() => call(`${IMAGES}/List`, credentials())).toBe(0);
  });
});

describe('headers that lie', () => {
  it.each([
    ['another namespace', { 'containerd-namespace': 'other' }],
    ['the other one first', { 'containerd-namespace': ['other', 'shop'] }],
    ['a longer name', { 'containerd-namespace': 'shop-two' }],
    ['a shorter name', { 'containerd-namespace': 'sho' }],
    ['another case', { 'containerd-namespace': 'Shop' }],
    ['a path', { 'containerd-namespace': 'other/../shop' }],
    ['no namespace', { 'containerd-namespace': '' }],
    ['what is not text', { 'containerd-namespace': '', 'containerd-namespace-bin': 'c2hvcA' }],
    ['a list', { 'containerd-namespace': 'shop,other' }],
  ] as [string, Record<string, string | string[]>][])('name %s, and reach nobody', async (_, headers) => {
    for (const path of [`${IMAGES}/List`, `${IMAGES}/Delete`]) {
      expect(await call(path, { ...credentials(), ...headers })).toBe(7);
    }
    expect(gateway.takeSeen()).toEqual([]);
  });

  it('are not passed on: the service sees what was judged', async () => {
    const lies = {
      'containerd-namespace': ['shop', 'other'],
      'containerd-namespace-bin': 'b3RoZXI',
      'longshore-caller': 'user/root',
      'longshore-caller-details-bin': 'AA',
      'x-forwarded-for': '10.9.9.9',
      'longshore-node': ['_', 'n1'],
    };
    expect(await call(`${IMAGES}/List`, { ...credentials(), ...lies })).toBe(0);
    const [seen, ...more] = gateway.takeSeen();
    expect(more).toEqual([]);
    expect(seen).toMatchObject({ at: 'image Images/List', namespace: 'shop', node: '_' });
    expect(seen?.caller).toMatch(/^token\/(?!gateway)/);
  });
});
