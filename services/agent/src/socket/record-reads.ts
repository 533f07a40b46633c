import { setImmediate as nextTurn } from 'node:timers/promises';
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import { type Adaptor, mapField, objectAdaptor, parseFilters } from '@longshore/filters';
import { parseDigest, parseIdentifier } from '@longshore/oci';
import {
  type Container,
  ContainerSchema,
  GetContainerRequestSchema,
  ListContainersRequestSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  type Info,
  InfoRequestSchema,
  InfoSchema,
  ListContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import {
  GetImageRequestSchema,
  type Image,
  ImageSchema,
  ListImagesRequestSchema,
} from '@longshore/proto/containerd/services/images/v1/images';
import {
  GetNamespaceRequestSchema,
  NamespaceSchema,
} from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import {
  StoreGetRequestSchema,
  StoreListRequestSchema,
} from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { type Sandbox, SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import type { CopiedRecord, CopyReads, RecordPage } from '../records/copy-reads.ts';
import { KEEPERS, keeperOf, type RecordKind } from '../records/record-kinds.ts';
import { type Caller, type LocalRead, type LocalReads, type Outcome, PASS_ON } from './local-read.ts';
import { wireField } from './wire-field.ts';

/** Go clients take at most this much in a message of a listing of content. */
const CONTENT_BLOCK = 100;

/**
 * Reads of containers, images, namespaces, sandboxes and content, from the copy. Values are not decoded but for
 * filters: what a Get or a List answers is field 1 of its answer.
 */
export function recordReads(copy: CopyReads): LocalReads {
  function get(kind: RecordKind, namespace: string, key: string, subject: () => string): Outcome {
    if (!copy.isComplete(keeperOf(kind))) return PASS_ON;
    const record = copy.get(kind, namespace, key);
    if (record === 'stale') return PASS_ON;
    if (!record) throw notFound(subject());
    return [wireField(1, record.value)];
  }

  /** Calls `encode` with the values that the filters choose. Other calls have their turn between pages. */
  async function list<S extends DescMessage>(
    { kind, schema, adaptorOf }: Listed<S>,
    filters: readonly string[],
    caller: Caller,
    encode: (values: Uint8Array[]) => Uint8Array[],
  ): Promise<Outcome> {
    const filter = parseFilters(filters);
    const { namespace } = caller;
    const isChosen = ({ value }: CopiedRecord) =>
      filter.matchesAll || filter.matches(adaptorOf(fromBinary(schema, value)));
    const values: Uint8Array[] = [];
    for (let after: string | undefined = ''; after !== undefined; ) {
      if (after !== '') await nextTurn();
      const page: RecordPage | 'stale' = copy.isComplete(keeperOf(kind))
        ? copy.page(kind, namespace, after)
        : 'stale';
      if (page === 'stale') return PASS_ON;
      for (const record of page.records) if (isChosen(record)) values.push(record.value);
      after = page.next;
    }
    return encode(values);
  }

  function getNamespace(request: Uint8Array): Outcome {
    const { name } = fromBinary(GetNamespaceRequestSchema, request);
    if (!copy.isComplete('content')) return PASS_ON;
    const record = copy.get('namespace', name, name);
    if (record === 'stale') return PASS_ON;
    return [wireField(1, record?.value ?? unlabelled(name))];
  }

  function listNamespaces(): Outcome {
    if (!KEEPERS.every((keeper) => copy.isComplete(keeper))) return PASS_ON;
    if (copy.list('namespace', '') === 'stale') return PASS_ON;
    const values: Uint8Array[] = [];
    for (const name of copy.namespaces()) {
      const record = copy.get('namespace', name, name);
      if (record === 'stale') return PASS_ON;
      values.push(record?.value ?? unlabelled(name));
    }
    return oneMessage(values);
  }

  return new Map<string, LocalRead>([
    [
      '/containerd.services.containers.v1.Containers/Get',
      (request, caller) => {
        const id = parseIdentifier(fromBinary(GetContainerRequestSchema, request).id);
        const { namespace } = caller;
        return get('container', namespace, id, () => inNamespace('container', id, namespace));
      },
    ],
    [
      '/containerd.services.containers.v1.Containers/List',
      (request, caller) =>
        list(CONTAINERS, fromBinary(ListContainersRequestSchema, request).filters, caller, oneMessage),
    ],
    [
      '/containerd.services.containers.v1.Containers/ListStream',
      (request, caller) =>
        list(CONTAINERS, fromBinary(ListContainersRequestSchema, request).filters, caller, (values) =>
          values.map((value) => wireField(1, value)),
        ),
    ],
    [
      '/containerd.services.sandbox.v1.Store/Get',
      (request, caller) => {
        const { sandboxId } = fromBinary(StoreGetRequestSchema, request);
        const { namespace } = caller;
        return get('sandbox', namespace, sandboxId, () => inNamespace('sandbox', sandboxId, namespace));
      },
    ],
    [
      '/containerd.services.sandbox.v1.Store/List',
      (request, caller) =>
        list(SANDBOXES, fromBinary(StoreListRequestSchema, request).filters, caller, oneMessage),
    ],
    [
      '/containerd.services.images.v1.Images/Get',
      (request, caller) => {
        const { name } = fromBinary(GetImageRequestSchema, request);
        return get('image', caller.namespace, name, () => `image ${JSON.stringify(name)}`);
      },
    ],
    [
      '/containerd.services.images.v1.Images/List',
      (request, caller) =>
        list(IMAGES, fromBinary(ListImagesRequestSchema, request).filters, caller, oneMessage),
    ],
    [
      '/containerd.services.content.v1.Content/Info',
      (request, caller) => {
        const { namespace } = caller;
        const digest = parseDigest(fromBinary(InfoRequestSchema, request).digest);
        return get('content', namespace, digest, () => `content digest ${digest}`);
      },
    ],
    [
      '/containerd.services.content.v1.Content/List',
      (request, caller) =>
        list(CONTENT, fromBinary(ListContentRequestSchema, request).filters, caller, inBlocks),
    ],
    ['/containerd.services.namespaces.v1.Namespaces/Get', getNamespace],
    ['/containerd.services.namespaces.v1.Namespaces/List', listNamespaces],
  ]);
}

/** What filters see of one kind's message. Source: containerd core/metadata/adaptors.go. */
interface Listed<S extends DescMessage> {
  kind: RecordKind;
  schema: S;
  adaptorOf(message: MessageShape<S>): Adaptor;
}

const CONTAINERS: Listed<typeof ContainerSchema> = {
  kind: 'container',
  schema: ContainerSchema,
  adaptorOf: ({ id, runtime, image, labels }: Container) =>
    objectAdaptor({ id, 'runtime.name': runtime?.name, image }, labels),
};

const SANDBOXES: Listed<typeof SandboxSchema> = {
  kind: 'sandbox',
  schema: SandboxSchema,
  adaptorOf: ({ sandboxId, labels }: Sandbox) => objectAdaptor({ id: sandboxId }, labels),
};

const IMAGES: Listed<typeof ImageSchema> = {
  kind: 'image',
  schema: ImageSchema,
  adaptorOf: ({ name, target, labels }: Image) => {
    const fields = { name, 'target.digest': target?.digest, 'target.mediatype': target?.mediaType };
    const other = objectAdaptor(fields, labels);
    return (path) =>
      path[0] === 'annotations' ? mapField(target?.annotations ?? {}, path.slice(1)) : other(path);
  },
};

const CONTENT: Listed<typeof InfoSchema> = {
  kind: 'content',
  schema: InfoSchema,
  adaptorOf: ({ digest, labels }: Info) => objectAdaptor({ digest }, labels),
};

function oneMessage(values: Uint8Array[]): Uint8Array[] {
  return [Buffer.concat(values.map((value) => wireField(1, value)))];
}

function inBlocks(values: Uint8Array[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < values.length; at += CONTENT_BLOCK) {
    messages.push(...oneMessage(values.slice(at, at + CONTENT_BLOCK)));
  }
  return messages;
}

/** A namespace that nobody labelled has no record of its own. */
function unlabelled(name: string): Uint8Array {
  return toBinary(NamespaceSchema, create(NamespaceSchema, { name }));
}

function inNamespace(kind: string, id: string, namespace: string): string {
  return `${kind} ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`;
}
