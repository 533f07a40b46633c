import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { credentials } from '@grpc/grpc-js';
import { isKind } from '@longshore/errors';
import { Version, type VersionResponse } from '@longshore/proto/containerd/services/version/v1/version';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { TestAuthority } from '../testing/certificates.ts';
import { NO_TLS, silent, TestClient } from '../testing/grpc.ts';
import type { TlsFiles } from './credentials.ts';
import { RawListener } from './raw-listener.ts';
import { passOn } from './route.ts';
import { GrpcServer } from './server.ts';
import { Upstream } from './upstream.ts';

const EMPTY = create(EmptySchema);

async function listen(tls: TlsFiles): Promise<string> {
  const server = new GrpcServer(silent, createMetrics('test'));
  server.add(Version, { version: async () => ({ version: '1', revision: 'r' }) });
  onTestFinished(() => server.close(0));
  return server.listen('127.0.0.1:0', tls);
}

function clientOf(address: string, tls: TlsFiles): TestClient {
  const [ca, key, cert] = [tls.tlsCa, tls.tlsKey, tls.tlsCert].map((path) =>
    path ? readFileSync(path) : null,
  );
  return new TestClient(Version, address, credentials.createSsl(ca, key, cert));
}

function call(client: TestClient) {
  return client.unary<VersionResponse>('Version', EMPTY, {}, { deadline: Date.now() + 5000 });
}

describe('a server on TCP', () => {
  it('answers who shows a certificate of its authority', async () => {
    const authority = new TestAuthority();
    const address = await listen(authority.issue('server'));
    expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    const { answer } = await call(clientOf(address, authority.issue('client')));
    expect(answer.version).toBe('1');
  });

  it('refuses who shows none', async () => {
    const authority = new TestAuthority();
    const server = authority.issue('server');
    const client = clientOf(await listen(server), { ...NO_TLS, tlsCa: server.tlsCa });
    await expect(call(client)).rejects.toMatchObject({ code: 14 });
  });

  it("refuses who shows another authority's", async () => {
    const server = new TestAuthority().issue('server');
    const stranger = new TestAuthority().issue('client');
    const client = clientOf(await listen(server), { ...stranger, tlsCa: server.tlsCa });
    await expect(call(client)).rejects.toMatchObject({ code: 14 });
  });

  it('does not listen without TLS', async () => {
    const partly = { ...new TestAuthority().issue('server'), tlsCa: '' };
    for (const tls of [NO_TLS, partly]) {
      await expect(listen(tls)).rejects.toSatisfy((error) => isKind(error, 'FailedPrecondition'));
      await expect(new RawListener(() => undefined, silent).listen('127.0.0.1:0', tls)).rejects.toThrow(
        /TCP needs TLS; set LONGSHORE_TLS_CERT, LONGSHORE_TLS_KEY and LONGSHORE_TLS_CA/,
      );
    }
  });
});

describe('a route over TCP', () => {
  it('takes and makes connections with certificates on both ends', async () => {
    const authority = new TestAuthority();
    const upstream = new Upstream(await listen(authority.issue('server')), authority.issue('router'));
    const listener = new RawListener(
      (stream, headers) => void passOn(stream, headers, { name: 'server', upstream, headers: {} }),
      silent,
    );
    const address = await listener.listen('127.0.0.1:0', authority.issue('door'));
    onTestFinished(async () => {
      await listener.close(0);
      await upstream.close();
    });
    const { answer } = await call(clientOf(address, authority.issue('client')));
    expect(answer.version).toBe('1');
    const stranger = new TestAuthority().issue('stranger');
    const refused = clientOf(address, { ...stranger, tlsCa: authority.issue('x').tlsCa });
    await expect(call(refused)).rejects.toMatchObject({ code: 14 });
  });

  it('cannot go out without TLS', async () => {
    await expect(new Upstream('127.0.0.1:1').open({ ':path': '/a/B' })).rejects.toThrow(/TCP needs TLS/);
  });
});
