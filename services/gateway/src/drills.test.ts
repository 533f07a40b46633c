import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Channel, createClient } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';
import { serialOfFile, TestAuthority } from '@longshore/transport/testing';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { GatewayFixture } from './testing/gateway-fixture.ts';
import { refusal } from './testing/refusal.ts';

/** The steps of drills.md, taken. */
const WITHIN = { timeout: 30_000, interval: 200 };
const SCOPE = { headers: { 'containerd-namespace': 'ns' } };

const directory = mkdtempSync(join(tmpdir(), 'longshore-drills-'));
const old = new TestAuthority(mkdtempSync(join(directory, 'old-')));
const next = new TestAuthority(mkdtempSync(join(directory, 'next-')));
/** What the gateway reads; drills put new files in their place. */
const own: TlsFiles = {
  tlsCert: join(directory, 'gateway.crt'),
  tlsKey: join(directory, 'gateway.key'),
  tlsCa: join(directory, 'ca.crt'),
};
let gateway: GatewayFixture;

beforeAll(async () => {
  install(old.issue('service/gateway'));
  copyFileSync(old.issue('service/gateway').tlsCa, own.tlsCa);
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: own.tlsCert,
    LONGSHORE_TLS_KEY: own.tlsKey,
    LONGSHORE_TLS_CA: own.tlsCa,
  });
});
afterAll(async () => {
  await gateway?.close();
  rmSync(directory, { recursive: true });
});

function install({ tlsCert, tlsKey }: TlsFiles): void {
  copyFileSync(tlsKey, own.tlsKey);
  copyFileSync(tlsCert, own.tlsCert);
}

/** `no error`, or why a new connection with these files cannot list images. */
function asks(tls: TlsFiles): Promise<string> {
  const channel = new Channel(gateway.grpc, tls);
  onTestFinished(() => channel.close());
  return refusal(createClient(Images, channel).list({}, SCOPE));
}

it('the last admin is lost: who reads gateway.token binds another', async () => {
  const alice = old.issue('user/alice');
  await gateway.bind('user/alice');
  expect(await asks(alice)).toBe('no error');
  const gone = await gateway.send('DELETE', '/v1/bindings?namespace=*&subject=user/alice&role=admin');
  expect(gone.status).toBe(204);
  expect(await asks(alice)).toMatch(/^PermissionDenied: user\/alice may not read/);
  await gateway.bind('user/alice');
  expect(await asks(alice)).toBe('no error');
});

it('a certificate is stolen: its identity is revoked, a new one has its roles', async () => {
  const stolen = old.issue('user/bob');
  await gateway.bind('user/bob', 'viewer', 'ns');
  expect(await asks(stolen)).toBe('no error');
  const serial = serialOfFile(stolen);
  const thief = { ...stolen, tlsCert: join(directory, 'thief.crt'), tlsKey: join(directory, 'thief.key') };
  copyFileSync(stolen.tlsCert, thief.tlsCert);
  copyFileSync(stolen.tlsKey, thief.tlsKey);
  gateway.backends.runtime.registry.revocations.replace([serial]);
  await expect.poll(() => asks(thief), WITHIN).toMatch(/^(Unauthenticated|Unavailable)/);
  // Put in the place of the old one, where it is taken up after a moment.
  const renewed = old.issue('user/bob');
  await expect.poll(() => asks(renewed), WITHIN).toBe('no error');
});

it('the authority runs out: both are trusted for a while, then the new one alone', async () => {
  await gateway.bind('user/carol', 'viewer', 'ns');
  const [before, after] = [old.issue('user/carol'), next.issue('user/carol')];
  const both = join(directory, 'both.crt');
  copyFileSync(before.tlsCa, both);
  appendFileSync(both, readFileSync(after.tlsCa));
  const trusting = (tls: TlsFiles) => ({ ...tls, tlsCa: both });
  expect(await asks(trusting(before))).toBe('no error');
  expect(await asks(trusting(after))).toMatch(/^Unavailable/);

  copyFileSync(both, own.tlsCa);
  await expect.poll(() => asks(trusting(after)), WITHIN).toBe('no error');
  install(next.issue('service/gateway'));
  await expect.poll(() => asks(after), WITHIN).toBe('no error');
  expect(await asks(trusting(before))).toBe('no error');

  copyFileSync(after.tlsCa, own.tlsCa);
  await expect.poll(() => asks(trusting(before)), WITHIN).toMatch(/^Unavailable/);
  expect(await asks(after)).toBe('no error');
  // Where nobody's certificate is good any more, the token of the file is.
  expect((await gateway.get('/v1/whoami')).status).toBe(200);
});
