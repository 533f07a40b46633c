import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { Channel } from '../channel.ts';

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
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  return `unix://${path}`;
}

/** A channel that is closed after the test. */
export function openChannel(address: string): Channel {
  const channel = new Channel(address);
  onTestFinished(() => channel.close());
  return channel;
}
