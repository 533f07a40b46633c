import { create, createFileRegistry } from '@bufbuild/protobuf';
import type { GenService } from '@bufbuild/protobuf/codegenv2';
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_wrappers,
  type StringValueSchema,
} from '@bufbuild/protobuf/wkt';

interface Rpc<Kind extends string> {
  methodKind: Kind;
  input: typeof StringValueSchema;
  output: typeof StringValueSchema;
}

export type EchoService = GenService<{
  unary: Rpc<'unary'>;
  missing: Rpc<'unary'>;
  fanOut: Rpc<'server_streaming'>;
  collect: Rpc<'client_streaming'>;
  chat: Rpc<'bidi_streaming'>;
}>;

const RPCS = [
  { name: 'Unary' },
  { name: 'Missing' },
  { name: 'FanOut', serverStreaming: true },
  { name: 'Collect', clientStreaming: true },
  { name: 'Chat', clientStreaming: true, serverStreaming: true },
];

/** A service with an rpc of each kind, for tests; containerd's own have no client stream. */
export const Echo: EchoService = describeEcho();

function describeEcho(): EchoService {
  const type = '.google.protobuf.StringValue';
  const file = create(FileDescriptorProtoSchema, {
    name: 'echo.proto',
    package: 'test',
    syntax: 'proto3',
    dependency: ['google/protobuf/wrappers.proto'],
    service: [{ name: 'Echo', method: RPCS.map((rpc) => ({ ...rpc, inputType: type, outputType: type })) }],
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_wrappers.proto, file] });
  return createFileRegistry(set).getService('test.Echo') as EchoService;
}
