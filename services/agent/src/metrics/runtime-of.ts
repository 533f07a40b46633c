import { fromBinary } from '@bufbuild/protobuf';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CopyReads } from '../records/copy-reads.ts';

/** Name of a container's runtime, by this node's copy alone; undefined when that does not know. */
export function runtimeOf(copy: CopyReads, namespace: string, id: string): string | undefined {
  const record = [copy, copy.lastKnown]
    .map((reads) => reads.get('container', namespace, id))
    .find((found) => found !== undefined && found !== 'stale');
  return record ? fromBinary(ContainerSchema, record.value).runtime?.name : undefined;
}
