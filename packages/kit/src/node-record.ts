import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Scope } from './scope.ts';

/** One thing of a node's scope, or, when deleted, the place where it was: a `longshore.watch.v1.Record`. */
export interface NodeRecord {
  readonly kind: RecordKind;
  readonly namespace: string;
  readonly key: string;
  readonly revision: bigint;
  readonly deleted: boolean;
  readonly value: Uint8Array;
  /** Of a container: goes when its node agrees. */
  readonly deleting: boolean;
}

export type RecordKind = 'container' | 'sandbox' | 'image' | 'namespace' | 'content' | 'snapshot';

/** A change of a record: where, and the revision that it gave. */
interface Change {
  readonly scope: Scope;
  readonly revision: bigint;
}

/** What a node's copy keeps: `init` is what Get answers. */
export function storedRecord<S extends DescMessage>(
  kind: RecordKind,
  { scope, revision }: Change,
  key: string,
  schema: S,
  init: MessageInitShape<S>,
): NodeRecord {
  const value = toBinary(schema, create(schema, init));
  return { kind, namespace: scope.namespace, key, revision, deleted: false, value, deleting: false };
}

/** `revision` is that of the deletion. */
export function deletedRecord(kind: RecordKind, { scope, revision }: Change, key: string): NodeRecord {
  const { namespace } = scope;
  return { kind, namespace, key, revision, deleted: true, value: new Uint8Array(), deleting: false };
}
