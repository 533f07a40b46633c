import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { isKind } from '@longshore/errors';
import { Version, type VersionResponse } from '@longshore/proto/containerd/services/version/v1/version';
import { Revocations, type TlsFiles, TlsIdentity } from '@longshore/transport';
import { serialOfFile, TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { NO_TLS, silent, type TestClient } from '../testing/grpc.ts';
import { testServer, tlsClient } from '../testing/tls.ts';
import type { ListenOptions } from './listener-tls.ts';
import { RawListener } from './raw-listener.ts';
import { passOn } from './route.ts';
import { Upstream, type UpstreamOptions } from './upstream.ts';

const EMPTY = create(EmptySchema);

function listen(tls: TlsFiles, revocations?: Revocations, options?: ListenOptions): Promise<string> {
  const register = { version: async () => ({ version: '1', revision: 'r' }) };
  return testServer((server) => server.add(Version, register), { revocations }).listen(
    '127.0.0.1:0',
    tls,
    options,
  );
}

function clientOf(address: string, tls: TlsFiles): TestClient {
  return tlsClient(Version, address, tls);
}

function call(client: TestClient, headers: Record<string, string> = {}) {
  return client.unary<VersionResponse>('Version', EMPTY, headers, { deadline: Date.now() + 5000 });
}

/** A door over TCP to `upstream`, closed after the test. */
async function openDoor(upstream: Upstream, tls: TlsFiles, revocations?: Revocations): Promise<string> {
  const listener = new RawListener(
    (stream, headers) => void passOn(stream, headers, { name: 'server', upstream, headers: {} }),
    silent,
    { revocations },
  );
  onTestFinished(async () => {
    await listener.close(0);
    await upstream.close();
  });
  return listener.listen('127.0.0.1:0', tls);
}

describe('a server on TCP', () => {
  it('answers a service that shows a certificate of its authority', async () => {
    const authority = new TestAuthority();
    const address = await listen(authority.issue('service/version'));
    expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    const { answer } = await call(clientOf(address, authority.issue('service/image')));
    expect(answer.version).toBe('1');
  });

  it('refuses who shows none', async () => {
    const server = new TestAuthority().issue('service/version');
    const client = clientOf(await listen(server), { ...NO_TLS, tlsCa: server.tlsCa });
    await expect(call(client)).rejects.toMatchObject({ code: 14 });
  });

  it("refuses who shows another authority's", async () => {
    const server = new TestAuthority().issue('service/version');
    const stranger = new TestAuthority().issue('service/image');
    const client = clientOf(await listen(server), { ...stranger, tlsCa: server.tlsCa });
    await expect(call(client)).rejects.toMatchObject({ code: 14 });
  });

  it.each([
    ['none of ours', ['URI:spiffe://elsewhere/service/image', 'DNS:image']],
    ['two', ['URI:spiffe://longshore/node/n1', 'URI:spiffe://longshore/service/image']],
  ])('does not know who shows a certificate that names %s', async (_, names) => {
    const authority = new TestAuthority();
    const address = await listen(authority.issue('service/version'));
    const client = clientOf(address, authority.issueFor(names, 'odd'));
    await expect(call(client)).rejects.toMatchObject({ code: 16 });
  });

  it('asks for no certificate where anyone may call, and lets them call next to nothing', async () => {
    const server = new TestAuthority().issue('service/version');
    const address = await listen(server, undefined, { anyone: true });
    const stranger = clientOf(address, { ...NO_TLS, tlsCa: server.tlsCa });
    await expect(call(stranger)).rejects.toMatchObject({
      code: 7,
      message: 'anonymous may not call containerd.services.version.v1.Version/Version: permission denied',
    });
  });

  it('takes no word of a caller for the name of its connection', async () => {
    const authority = new TestAuthority();
    const address = await listen(authority.issue('service/version'));
    const client = clientOf(address, authority.issue('service/image'));
    await call(client, { 'longshore-connection': 'mine' });
  });

  it('does not listen without TLS', async () => {
    const partly = { ...new TestAuthority().issue('service/version'), tlsCa: '' };
    for (const tls of [NO_TLS, partly]) {
      await expect(listen(tls)).rejects.toSatisfy((error) => isKind(error, 'FailedPrecondition'));
      await expect(new RawListener(() => undefined, silent).listen('127.0.0.1:0', tls)).rejects.toThrow(
        /TCP needs TLS; set LONGSHORE_TLS_CERT, LONGSHORE_TLS_KEY and LONGSHORE_TLS_CA/,
      );
    }
  });
});

describe('a certificate that is revoked while servers run', () => {
  it('is worth nothing at once, on connections that are made too', async () => {
    const authority = new TestAuthority();
    const revocations = new Revocations();
    const address = await listen(authority.issue('service/version'), revocations);
    const thief = authority.issue('service/image');
    const client = clientOf(address, thief);
    await call(client);
    revocations.replace([serialOfFile(thief)]);
    await expect(call(client)).rejects.toMatchObject({ code: 14 });
    await call(clientOf(address, authority.issue('service/image')));
  });

  it('ends its connections to a door, and the calls in them', async () => {
    const authority = new TestAuthority();
    const revocations = new Revocations();
    const entered = Promise.withResolvers<void>();
    const door = new RawListener(() => entered.resolve(), silent, { revocations });
    onTestFinished(() => door.close(0));
    const address = await door.listen('127.0.0.1:0', authority.issue('service/gateway'));
    const thief = authority.issue('service/image');
    const upstream = new Upstream(address, thief);
    onTestFinished(() => upstream.close());
    const stream = await upstream.open({ ':path': '/a/B', ':method': 'POST' });
    stream.on('error', () => undefined);
    await entered.promise;
    const closed = once(stream, 'close');
    revocations.replace([serialOfFile(thief)]);
    await closed;
  });
});

describe('a server whose certificate is revoked while it is connected to', () => {
  it('loses the connection, and the calls in it', async () => {
    const authority = new TestAuthority();
    const entered = Promise.withResolvers<void>();
    const door = new RawListener(() => entered.resolve(), silent);
    onTestFinished(() => door.close(0));
    const server = authority.issue('service/content');
    const address = await door.listen('127.0.0.1:0', server);
    const revocations = new Revocations();
    const upstream = new Upstream(address, authority.issue('service/gateway'), { revocations });
    onTestFinished(() => upstream.close());
    const stream = await upstream.open({ ':path': '/a/B', ':method': 'POST' });
    stream.on('error', () => undefined);
    await entered.promise;
    const closed = new Promise((resolve) => stream.once('close', resolve));
    revocations.replace([serialOfFile(server)]);
    await closed;
    await expect(upstream.open({ ':path': '/a/B' })).rejects.toThrow("the server's certificate is revoked");
  });
});

describe('new certificates', () => {
  it('are taken up by servers and clients without a restart', async () => {
    const authority = new TestAuthority();
    const server = authority.issue('service/version');
    const address = await listen(server);
    const router = authority.issue('service/gateway');
    const upstream = new Upstream(address, router);
    const door = await openDoor(upstream, authority.issue('service/door'));
    await call(clientOf(door, authority.issue('service/image')));

    const before = serialOfFile(server);
    authority.issue('service/version');
    expect(serialOfFile(server)).not.toBe(before);
    TlsIdentity.reload(server);
    const revocations = new Revocations();
    revocations.replace([before]);
    // Whoever connects now is shown the new certificate: the old one is revoked for them.
    const fresh = new Upstream(address, router, { revocations, expect: 'service/version' });
    await call(clientOf(await openDoor(fresh, authority.issue('service/door')), router));
  });

  it('are shown by clients when they connect again', async () => {
    const authority = new TestAuthority();
    const revocations = new Revocations();
    const address = await listen(authority.issue('service/version'), revocations);
    const router = authority.issue('service/gateway');
    const upstream = new Upstream(address, router);
    const caller = clientOf(await openDoor(upstream, authority.issue('service/door')), router);
    await call(caller);
    const old = serialOfFile(router);
    authority.issue('service/gateway');
    TlsIdentity.reload(router);
    // Ends the connection that was made with the old one.
    revocations.replace([old]);
    await vi.waitFor(() => call(caller), { timeout: 20_000 });
  });

  it('are left alone while the key does not belong to the certificate', async () => {
    const authority = new TestAuthority();
    const server = authority.issue('service/version');
    const address = await listen(server);
    copyFileSync(authority.issue('service/other').tlsKey, server.tlsKey);
    TlsIdentity.reload(server);
    await call(clientOf(address, authority.issue('service/image')));
  });
});

describe('a route over TCP', () => {
  async function callThrough(server: TlsFiles, router: TlsFiles, options: UpstreamOptions) {
    const upstream = new Upstream(await listen(server), router, options);
    const door = await openDoor(upstream, router);
    return call(clientOf(door, router));
  }

  it('takes and makes connections with certificates on both ends', async () => {
    const authority = new TestAuthority();
    const router = authority.issue('service/gateway');
    const { answer } = await callThrough(authority.issue('service/version'), router, {
      expect: 'service/version',
    });
    expect(answer.version).toBe('1');
  });

  it.each([
    ['service/content', 'service/version', /certificate is for service\/content, not for service\/version/],
    ['user/alice', undefined, /certificate names no service or node/],
  ])('takes no server that shows the certificate of %s', async (shown, expect_, reason) => {
    const authority = new TestAuthority();
    const router = authority.issue('service/gateway');
    const refused = callThrough(authority.issue(shown), router, { expect: expect_ });
    await expect(refused).rejects.toMatchObject({ code: 14, message: expect.stringMatching(reason) });
  });

  it('admits parts of the fleet only, unless it is told otherwise', async () => {
    const authority = new TestAuthority();
    const door = await openDoor(new Upstream('unix:///nowhere'), authority.issue('service/door'));
    for (const who of ['node/n1', 'user/alice']) {
      await expect(call(clientOf(door, authority.issue(who)))).rejects.toMatchObject({ code: 7 });
    }
  });

  it('cannot go out without TLS', async () => {
    await expect(new Upstream('127.0.0.1:1').open({ ':path': '/a/B' })).rejects.toThrow(/TCP needs TLS/);
  });
});
