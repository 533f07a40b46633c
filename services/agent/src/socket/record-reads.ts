import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import { inBlocks, parseFilters, selectFrom } from '@longshore/filters';
import { parseDigest } from '@longshore/oci';
import {
  GetContainerRequestSchema,
  ListContainersRequestSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  InfoRequestSchema,
  ListContentRequestSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import {
  GetImageRequestSchema,
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
import type { CopiedRecord, CopyReads } from '../records/copy-reads.ts';
import { adaptorOf, type FilteredKind } from '../records/filtered-kinds.ts';
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

  /** The values that the filters choose, one by one; undefined when the owner is to be asked. */
  function select(
    kind: FilteredKind,
    filters: readonly string[],
    { namespace, listPart: { from, limit } }: Caller,
  ): AsyncGenerator<Uint8Array> | undefined {
    const filter = parseFilters(filters);
    const pages = copy.isComplete(keeperOf(kind)) ? copy.select(kind, namespace, filter, from) : 'stale';
    if (pages === 'stale') return undefined;
    return valuesOf(selectFrom(filter, pages, ({ value }) => adaptorOf(kind, value), limit));
  }

  async function list(kind: FilteredKind, filters: readonly string[], caller: Caller): Promise<Outcome> {
    const values = select(kind, filters, caller);
    return values ? [fieldsOf(await Array.fromAsync(values))] : PASS_ON;
  }

  function stream(
    kind: FilteredKind,
    filters: readonly string[],
    caller: Caller,
    blockSize: number,
  ): Outcome {
    const values = select(kind, filters, caller);
    return values ? { messages: messagesOf(inBlocks(values, blockSize)) } : PASS_ON;
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
    return [fieldsOf(values)];
  }

  return new Map<string, LocalRead>([
    [
      '/containerd.services.containers.v1.Containers/Get',
      (request, caller) => {
        const { id } = fromBinary(GetContainerRequestSchema, request);
        const { namespace } = caller;
        return get('container', namespace, id, () => inNamespace('container', id, namespace));
      },
    ],
    [
      '/containerd.services.containers.v1.Containers/List',
      (request, caller) =>
        list('container', fromBinary(ListContainersRequestSchema, request).filters, caller),
    ],
    [
      '/containerd.services.containers.v1.Containers/ListStream',
      (request, caller) =>
        stream('container', fromBinary(ListContainersRequestSchema, request).filters, caller, 1),
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
      (request, caller) => list('sandbox', fromBinary(StoreListRequestSchema, request).filters, caller),
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
      (request, caller) => list('image', fromBinary(ListImagesRequestSchema, request).filters, caller),
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
        stream('content', fromBinary(ListContentRequestSchema, request).filters, caller, CONTENT_BLOCK),
    ],
    ['/containerd.services.namespaces.v1.Namespaces/Get', getNamespace],
    ['/containerd.services.namespaces.v1.Namespaces/List', listNamespaces],
  ]);
}

async function* valuesOf(records: AsyncIterable<CopiedRecord>): AsyncGenerator<Uint8Array> {
  for await (const { value } of records) yield value;
}

async function* messagesOf(blocks: AsyncIterable<Uint8Array[]>): AsyncGenerator<Uint8Array> {
  for await (const block of blocks) yield fieldsOf(block);
}

function fieldsOf(values: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(values.map((value) => wireField(1, value)));
}

/** A namespace that nobody labelled has no record of its own. */
function unlabelled(name: string): Uint8Array {
  return toBinary(NamespaceSchema, create(NamespaceSchema, { name }));
}

function inNamespace(kind: string, id: string, namespace: string): string {
  return `${kind} ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`;
}
