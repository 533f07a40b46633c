import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { Header } from '@longshore/proto/headers';

/** As packages/rpc has them for other machines, but that each client has a connection of its own. */
const OPTIONS = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 1_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/** One connection, as an agent on a machine of its own has it. */
export function connect(socket: string): Client {
  return new Client(`unix:${socket}`, credentials.createInsecure(), OPTIONS);
}

export function unary<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  node: string,
): Promise<MessageShape<O>> {
  const { promise, resolve, reject } = Promise.withResolvers<MessageShape<O>>();
  client.makeUnaryRequest(
    pathOf(method),
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => fromBinary(method.output, bytes),
    encode(method.input, request),
    headers(node),
    (error, answer) => (error ? reject(error) : resolve(answer!)),
  );
  return promise;
}

export function serverStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  node: string,
): AsyncIterable<MessageShape<O>> {
  return client.makeServerStreamRequest(
    pathOf(method),
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => fromBinary(method.output, bytes),
    encode(method.input, request),
    headers(node),
  );
}

function encode<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, init)));
}

function pathOf(method: { parent: { typeName: string }; name: string }): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function headers(node: string): Metadata {
  const metadata = new Metadata();
  metadata.set(Header.Node, node);
  return metadata;
}
