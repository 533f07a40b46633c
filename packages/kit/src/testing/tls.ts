import { readFileSync } from 'node:fs';
import type { DescService } from '@bufbuild/protobuf';
import { type ChannelOptions, credentials } from '@grpc/grpc-js';
import type { TlsFiles } from '@longshore/transport';
import { onTestFinished } from 'vitest';
import { GrpcServer, type GrpcServerOptions } from '../grpc/server.ts';
import { createMetrics } from '../metrics.ts';
import { silent, TestClient } from './grpc.ts';

/** A server that is closed after the test, without an address yet. */
export function testServer(
  register: (server: GrpcServer) => void,
  options: GrpcServerOptions = {},
): GrpcServer {
  const server = new GrpcServer(silent, createMetrics('test'), options);
  register(server);
  onTestFinished(() => server.close(0));
  return server;
}

/** A plain client that shows the certificate in `tls`, read now, and takes a server of any name. */
export function tlsClient(
  service: DescService,
  address: string,
  tls: TlsFiles,
  options: ChannelOptions = {},
): TestClient {
  const [ca, key, cert] = [tls.tlsCa, tls.tlsKey, tls.tlsCert].map((path) =>
    path ? readFileSync(path) : null,
  );
  const anyName = { checkServerIdentity: () => undefined };
  return new TestClient(service, address, credentials.createSsl(ca, key, cert, anyName), {
    'grpc.ssl_target_name_override': 'longshore',
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
}
