import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { type Adaptor, mapField, objectAdaptor } from '@longshore/filters';
import {
  type Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { type Info, InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { type Image, ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { type Sandbox, SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import type { RecordKind } from './record-kinds.ts';

/** Kinds of records of which lists with filters are answered from the copy. */
export type FilteredKind = 'container' | 'sandbox' | 'image' | 'content';

/** What filters see of a record's value. Source: containerd core/metadata/adaptors.go. */
export function adaptorOf(kind: FilteredKind, value: Uint8Array): Adaptor {
  return KINDS[kind].adaptorOf(value);
}

/** None for kinds whose lists are not answered from labels, nor of a value that is no such message. */
export function labelsOf(kind: RecordKind, value: Uint8Array): Readonly<Record<string, string>> {
  if (!Object.hasOwn(KINDS, kind)) return {};
  try {
    return KINDS[kind as FilteredKind].labelsOf(value);
  } catch {
    return {};
  }
}

const KINDS = {
  container: filtered(ContainerSchema, ({ id, runtime, image, labels }: Container) =>
    objectAdaptor({ id, 'runtime.name': runtime?.name, image }, labels),
  ),
  sandbox: filtered(SandboxSchema, ({ sandboxId, labels }: Sandbox) =>
    objectAdaptor({ id: sandboxId }, labels),
  ),
  content: filtered(InfoSchema, ({ digest, labels }: Info) => objectAdaptor({ digest }, labels)),
  image: filtered(ImageSchema, ({ name, target, labels }: Image) => {
    const fields = { name, 'target.digest': target?.digest, 'target.mediatype': target?.mediaType };
    const other = objectAdaptor(fields, labels);
    return (path) =>
      path[0] === 'annotations' ? mapField(target?.annotations ?? {}, path.slice(1)) : other(path);
  }),
};

function filtered<S extends DescMessage>(schema: S, adapt: (message: MessageShape<S>) => Adaptor) {
  const decode = (value: Uint8Array) => fromBinary(schema, value);
  return {
    adaptorOf: (value: Uint8Array) => adapt(decode(value)),
    labelsOf: (value: Uint8Array) => (decode(value) as unknown as { labels: Record<string, string> }).labels,
  };
}
