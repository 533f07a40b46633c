import { recordEvent, type Scope } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type { OutboxEvent } from '@longshore/postgres';
import { ContentCreateSchema, ContentDeleteSchema } from '@longshore/proto/containerd/events/content';
import {
  NamespaceCreateSchema,
  NamespaceDeleteSchema,
  NamespaceUpdateSchema,
} from '@longshore/proto/containerd/events/namespace';
import type { ContentIdentity } from './domain/content.ts';

/** A change of a namespace; `labels` are those of the request. */
interface NamespaceChange {
  scope: Scope;
  revision: bigint;
  labels: Labels;
}

/**
 * Every event of this service, but for those of stored bytes, `/content/corrupt` and `/content/restored`, which migrations/0006_verification.sql
 * writes. What the collector removes for others is told by their own `gc_delete`.
 */
export const contentEvents = {
  created: (content: ContentIdentity): OutboxEvent =>
    recordEvent(content, content.digest, '/content/create', ContentCreateSchema, {
      digest: content.digest,
      size: BigInt(content.sizeBytes),
    }),
  deleted: (content: ContentIdentity): OutboxEvent =>
    recordEvent(content, content.digest, '/content/delete', ContentDeleteSchema, { digest: content.digest }),
};

export const namespaceEvents = {
  created: (change: NamespaceChange): OutboxEvent =>
    recordEvent(change, change.scope.namespace, '/namespaces/create', NamespaceCreateSchema, {
      name: change.scope.namespace,
      labels: change.labels,
    }),
  updated: (change: NamespaceChange): OutboxEvent =>
    recordEvent(change, change.scope.namespace, '/namespaces/update', NamespaceUpdateSchema, {
      name: change.scope.namespace,
      labels: change.labels,
    }),
  deleted: (change: NamespaceChange): OutboxEvent =>
    recordEvent(change, change.scope.namespace, '/namespaces/delete', NamespaceDeleteSchema, {
      name: change.scope.namespace,
    }),
};
