import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { ABSENT, type Adaptor, mapField, objectAdaptor } from '@longshore/filters';
import {
  type Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { type Info, InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { type Image, ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { type Sandbox, SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import { Kind, type Snapshot, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { RecordKind } from './record-kinds.ts';

/** Kinds of records of which lists with filters are answered from the copy. */
export type FilteredKind = 'container' | 'sandbox' | 'image' | 'content' | 'snapshot';

/** What filters see of a record's value. Source: containerd core/metadata/adaptors.go. */
export function adaptorOf(kind: FilteredKind, value: Uint8Array): Adaptor {
  return KINDS[kind].adaptorOf(value);
}

/** What records are found by: labels, and fields by the names that filters have for them. */
export interface Findable {
  labels: Readonly<Record<string, string>>;
  fields: Readonly<Record<string, string>>;
}

export const NOTHING: Findable = { labels: {}, fields: {} };

/** Nothing for kinds whose lists are not answered so, nor of a value that is no such message. */
export function findableOf(kind: RecordKind, value: Uint8Array): Findable {
  if (!Object.hasOwn(KINDS, kind)) return NOTHING;
  try {
    return KINDS[kind as FilteredKind].findableOf(value);
  } catch {
    return NOTHING;
  }
}

/** Whether records of a kind are found by a field. */
export function isFindable(kind: RecordKind, field: string): boolean {
  return kind === 'snapshot' && (field === 'name' || field === 'parent');
}

const SNAPSHOT_KINDS: Readonly<Record<Kind, string>> = {
  [Kind.UNSPECIFIED]: 'unknown',
  [Kind.VIEW]: 'view',
  [Kind.ACTIVE]: 'active',
  [Kind.COMMITTED]: 'committed',
};

/** An empty parent counts as present, so that `parent==""` finds base layers. Source: core/metadata/adaptors.go. */
export function snapshotAdaptor({ kind, name, parent, labels }: Snapshot): Adaptor {
  const fields: Record<string, string> = { kind: SNAPSHOT_KINDS[kind], name, parent };
  return ([field = '', ...rest]) => {
    if (field === 'labels') return mapField(labels, rest);
    return Object.hasOwn(fields, field) ? { value: fields[field] ?? '', present: true } : ABSENT;
  };
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
  snapshot: filtered(SnapshotSchema, snapshotAdaptor, ({ name, parent }: Snapshot) => ({ name, parent })),
};

function filtered<S extends DescMessage>(
  schema: S,
  adapt: (message: MessageShape<S>) => Adaptor,
  fieldsOf: (message: MessageShape<S>) => Findable['fields'] = () => ({}),
) {
  const decode = (value: Uint8Array) => fromBinary(schema, value);
  return {
    adaptorOf: (value: Uint8Array) => adapt(decode(value)),
    findableOf: (value: Uint8Array): Findable => {
      const message = decode(value);
      const { labels } = message as unknown as Pick<Findable, 'labels'>;
      return { labels, fields: fieldsOf(message) };
    },
  };
}
