import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { InfoSchema, StatusSchema } from '@longshore/proto/containerd/services/content/v1/content';
import type { LeaseSchema } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { NamespaceSchema } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import type { Content } from '../domain/content.ts';
import type { Ingest } from '../domain/ingest.ts';
import type { Lease } from '../domain/lease.ts';
import type { Namespace } from '../domain/namespace.ts';

export function contentToProto(content: Content): MessageInitShape<typeof InfoSchema> {
  return {
    digest: content.digest,
    size: BigInt(content.sizeBytes),
    createdAt: timestampFromDate(content.createdAt),
    updatedAt: timestampFromDate(content.updatedAt),
    labels: content.labels,
  };
}

/** `expected` stays empty, as in containerd. */
export function ingestToProto(ingest: Ingest): MessageInitShape<typeof StatusSchema> {
  return {
    ref: ingest.ref,
    offset: BigInt(ingest.durableBytes),
    total: BigInt(ingest.totalBytes),
    startedAt: timestampFromDate(ingest.startedAt),
    updatedAt: timestampFromDate(ingest.updatedAt),
  };
}

export function leaseToProto(lease: Lease): MessageInitShape<typeof LeaseSchema> {
  return { id: lease.id, createdAt: timestampFromDate(lease.createdAt), labels: lease.labels };
}

export function namespaceToProto({ scope, labels }: Namespace): MessageInitShape<typeof NamespaceSchema> {
  return { name: scope.namespace, labels };
}
