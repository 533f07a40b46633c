import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { TlsFiles } from '@longshore/transport';
import { onTestFinished } from 'vitest';
import { Channel, type ChannelOptions } from '../channel.ts';

/** A path for a socket of the running test, removed after it. */
export function socketPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'client-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 's.sock');
}

/** A plain grpc-js server on a unix socket, cut after the test. Handlers go by the names in the .proto file. */
export async function serve(
  service: DescService,
  handlers: UntypedServiceImplementation,
  path = socketPath(),
): Promise<string> {
  const { address } = await startServer(service, handlers, `unix:${path}`);
  return address;
}

/** The same at any target of grpc-js, with the server to shut down. */
export async function startServer(
  service: DescService,
  handlers: UntypedServiceImplementation,
  target: string,
  credentials = ServerCredentials.createInsecure(),
): Promise<{ server: Server; address: string }> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  const methods = service.methods.filter((method) => method.name in handlers);
  const definition = methods.map((method) => [
    method.name,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind === 'bidi_streaming',
      responseStream: method.methodKind !== 'unary',
      requestSerialize: (message: never) => Buffer.from(toBinary(method.input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      responseSerialize: (message: never) => Buffer.from(toBinary(method.output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
    },
  ]);
  server.addService(Object.fromEntries(definition), handlers);
  onTestFinished(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(target, credentials, (error, taken) => (error ? reject(error) : resolve(taken))),
  );
  const isUnix = target.startsWith('unix:');
  return { server, address: isUnix ? target.replace('unix:', 'unix://') : `127.0.0.1:${port}` };
}

/** Asks for certificates of the authority in `tls`, and wants one unless it is said otherwise. */
export function serverTls(tls: TlsFiles, wantsOne = true): ServerCredentials {
  const pair = { private_key: readFileSync(tls.tlsKey), cert_chain: readFileSync(tls.tlsCert) };
  return ServerCredentials.createSsl(readFileSync(tls.tlsCa), [pair], wantsOne);
}

/** A channel that is closed after the test. */
export function openChannel(addresses: string, tls?: TlsFiles, options?: ChannelOptions): Channel {
  const channel = new Channel(addresses, tls, options);
  onTestFinished(() => channel.close());
  return channel;
}
