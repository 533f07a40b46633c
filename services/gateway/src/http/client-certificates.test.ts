import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TlsFiles } from '@longshore/transport';
import { serialOfFile, TestAuthority } from '@longshore/transport/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditTrail } from '../testing/audit-trail.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'longshore-https-'));
const authority = new TestAuthority(mkdtempSync(join(directory, 'a-')));
const shown = authority.issue('service/gateway');
let gateway: GatewayFixture;

beforeAll(async () => {
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_HTTP_LISTEN: '0.0.0.0:0',
    LONGSHORE_TLS_CERT: shown.tlsCert,
    LONGSHORE_TLS_KEY: shown.tlsKey,
    LONGSHORE_TLS_CA: shown.tlsCa,
  });
});
afterAll(async () => {
  await gateway?.close();
  rmSync(directory, { recursive: true });
});

/** The status and, of a problem, its words; `cut` for a connection that is ended. */
function ask(
  path: string,
  files?: TlsFiles,
  options: { token?: string; method?: string; body?: object } = {},
) {
  const { token, method = 'GET', body } = options;
  const { promise, resolve } = Promise.withResolvers<string>();
  const url = new URL(path, gateway.http.replace('0.0.0.0', '127.0.0.1'));
  const asked = request(url, {
    method,
    agent: false,
    ca: readFileSync(shown.tlsCa),
    checkServerIdentity: () => undefined,
    ...(files && { cert: readFileSync(files.tlsCert), key: readFileSync(files.tlsKey) }),
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
  });
  asked.on('error', () => resolve('cut'));
  asked.on('response', async (response) => {
    const { detail = '', name = '' } = JSON.parse((await text(response)) || '{}');
    resolve(`${response.statusCode} ${detail || name}`.trim());
  });
  asked.end(body && JSON.stringify(body));
  return promise;
}

async function get(path: string): Promise<{ status: number; type: string; body: string }> {
  const url = new URL(path, gateway.http.replace('0.0.0.0', '127.0.0.1'));
  const options = {
    agent: false,
    ca: readFileSync(shown.tlsCa),
    checkServerIdentity: () => undefined,
  } as const;
  const asked = request(url, options).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const { statusCode = 0, headers } = response;
  return { status: statusCode, type: headers['content-type'] ?? '', body: await text(response) };
}

describe('a certificate over HTTPS', () => {
  it('says who asks, who has what roles give; without one a token is needed', async () => {
    const alice = authority.issue('user/alice');
    expect(await ask('/v1/whoami', alice)).toBe('200 user/alice');
    expect(await ask('/v1/images?namespace=ns', alice)).toMatch(/^403 user\/alice may not read/);
    const body = { subject: 'user/alice', namespace: 'ns', role: 'viewer' };
    expect(await ask('/v1/bindings', undefined, { token: gateway.token, method: 'POST', body })).toMatch(
      /^200/,
    );
    expect(await ask('/v1/images?namespace=ns', alice)).toBe('200');
    expect(await ask('/v1/whoami', alice, { token: gateway.token })).toBe('200 token/gateway');
    expect(await ask('/v1/whoami')).toMatch(/^401 a bearer token or a certificate is required/);
    expect(await ask('/v1/whoami', authority.issue('node/n1'))).toMatch(/^403 node\/n1 may not call here/);
  });

  it('of another authority, or revoked, is worth nothing, with a token too', async () => {
    const eve = new TestAuthority(mkdtempSync(join(directory, 'b-'))).issue('user/alice');
    expect(await ask('/v1/whoami', eve, { token: gateway.token })).toBe('cut');
    const bob = authority.issue('user/bob');
    expect(await ask('/v1/whoami', bob)).toBe('200 user/bob');
    gateway.backends.runtime.registry.revocations.replace([serialOfFile(bob)]);
    await expect.poll(() => ask('/v1/whoami', bob), { timeout: 15_000 }).toMatch(/^(401|cut)/);
    // One that is taken back while its connection lasts is cut; the next one is told, and kept.
    const trail = new AuditTrail(gateway.database.url);
    try {
      const kept = async () => {
        // What is refused for another reason meanwhile is counted with it, by route.
        await ask('/v1/version', bob);
        return (await trail.refusals()).map(({ error, reason }) => `${error} ${reason}`);
      };
      await expect
        .poll(kept, { timeout: 30_000 })
        .toContain('Unauthenticated the certificate is revoked: unauthenticated');
    } finally {
      await trail.close();
    }
  });
});

it('the page of the API comes over HTTPS, whole', async () => {
  const page = await get('/docs/');
  expect([page.status, page.type]).toEqual([200, expect.stringMatching(/^text\/html/)]);
  const files = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!);
  expect(files.length).toBeGreaterThan(0);
  for (const path of files) {
    expect(path).not.toMatch(/^http:/);
    expect([path, (await get(new URL(path, 'https://edge/docs/').pathname)).status]).toEqual([path, 200]);
  }
});
