import { invalidArgument, isKind } from '@longshore/errors';
import type { Descriptor, Digest } from '@longshore/oci';
import type { CallOptions } from '@longshore/rpc';
import { indexLabels, manifestLabels, type PlainStore, parseImageDocument } from '@longshore/transfer';
import type { ContentStore } from '../content/content-store.ts';
import { MAX_DOCUMENT_BYTES } from './stored-tree.ts';

export interface AdoptCall {
  content: ContentStore;
  store: PlainStore;
  options: CallOptions;
  signal: AbortSignal;
}

/**
 * Has blobs that are stored keep what they name, from an index or manifest down. An index may name manifests that are not there, but not all
 * of them; a manifest lacks nothing. Throws InvalidArgument otherwise. Source: containerd core/images/handlers.go.
 */
export async function adoptContent(call: AdoptCall, target: Descriptor): Promise<void> {
  if (!(await adopt(call, target, new Map()))) throw lacking(target, target);
}

/** Whether it is there. Each is looked at once, however often it is named. */
async function adopt(call: AdoptCall, descriptor: Descriptor, known: Map<Digest, boolean>): Promise<boolean> {
  const { content, store, options, signal } = call;
  const before = known.get(descriptor.digest);
  if (before !== undefined) return before;
  const bytes = await content
    .readWhole(descriptor, MAX_DOCUMENT_BYTES, { ...options, signal })
    .catch(orNothing);
  known.set(descriptor.digest, bytes !== undefined);
  if (!bytes) return false;
  const document = parseImageDocument(descriptor, bytes);
  if (document.kind === 'manifest') {
    const { config, layers } = document.manifest;
    const children = [config, ...layers];
    const linked = await store.link(
      children.map((child) => ({ descriptor: child, labels: {} })),
      signal,
    );
    const missing = linked.findIndex(({ isLinked }) => !isLinked);
    if (missing >= 0) throw lacking(children[missing]!, descriptor);
    await store.link([{ descriptor, labels: manifestLabels(document.manifest) }], signal);
    return true;
  }
  let count = 0;
  for (const child of document.index.manifests) if (await adopt(call, child, known)) count += 1;
  const [first] = document.index.manifests;
  if (count === 0 && first) throw lacking(first, descriptor);
  await store.link([{ descriptor, labels: indexLabels(document.index) }], signal);
  return true;
}

function lacking({ digest }: Descriptor, named: Descriptor) {
  return invalidArgument(`archive lacks blob ${digest} of image ${named.digest}`);
}

function orNothing(error: unknown): undefined {
  if (!isKind(error, 'NotFound')) throw error;
  return undefined;
}
