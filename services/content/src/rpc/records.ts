import { deletedRecord, type NodeRecord, type Scope, storedRecord } from '@longshore/kit';
import { type RecordSource, recordSource } from '@longshore/postgres';
import { InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { NamespaceSchema } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import type { Content, ContentIdentity } from '../domain/content.ts';
import type { Namespace } from '../domain/namespace.ts';
import { contentTable } from '../storage/postgres/content-repository.ts';
import { namespaceTable } from '../storage/postgres/namespace-repository.ts';
import { contentToProto, namespaceToProto } from './convert.ts';

/** What nodes keep copies of. */
export const contentRecord = {
  stored: (content: Content): NodeRecord =>
    storedRecord('content', content, content.digest, InfoSchema, contentToProto(content)),
  deleted: (content: Pick<ContentIdentity, 'scope' | 'digest' | 'revision'>): NodeRecord =>
    deletedRecord('content', content, content.digest),
};

export const namespaceRecord = {
  stored: (namespace: Namespace): NodeRecord =>
    storedRecord(
      'namespace',
      namespace,
      namespace.scope.namespace,
      NamespaceSchema,
      namespaceToProto(namespace),
    ),
  deleted: (change: { scope: Scope; revision: bigint }): NodeRecord =>
    deletedRecord('namespace', change, change.scope.namespace),
};

export const contentSources: readonly RecordSource[] = [
  recordSource(namespaceTable, namespaceRecord.stored),
  recordSource(contentTable, contentRecord.stored),
];
