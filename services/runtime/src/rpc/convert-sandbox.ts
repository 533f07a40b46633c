import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Sandbox as SandboxMessage, SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import type { Sandbox, SandboxSpec } from '../domain/sandbox.ts';
import {
  anyFromProto,
  anyMapFromProto,
  anyMapToProto,
  runtimeFromProto,
  runtimeToProto,
} from './convert-any.ts';

export function sandboxFromProto(message: SandboxMessage | undefined): SandboxSpec {
  if (!message) throw invalidArgument('sandbox must be set');
  return {
    id: message.sandboxId,
    labels: message.labels,
    runtime: runtimeFromProto(message.runtime),
    spec: anyFromProto(message.spec),
    extensions: anyMapFromProto(message.extensions),
    sandboxer: message.sandboxer,
  };
}

export function sandboxToProto(sandbox: Sandbox): MessageInitShape<typeof SandboxSchema> {
  return {
    sandboxId: sandbox.id,
    labels: sandbox.labels,
    runtime: runtimeToProto(sandbox.runtime),
    ...(sandbox.spec && { spec: sandbox.spec }),
    extensions: anyMapToProto(sandbox.extensions),
    sandboxer: sandbox.sandboxer,
    createdAt: timestampFromDate(sandbox.createdAt),
    updatedAt: timestampFromDate(sandbox.updatedAt),
  };
}
