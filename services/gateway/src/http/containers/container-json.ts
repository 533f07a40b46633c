import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { ReservedLabel } from '@longshore/proto/headers';
import { ownLabels } from '../labels.ts';
import { timeToJson } from '../time.ts';

export const STATUSES = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
} as const;

/** Of a container's task; `none` when it has none. */
export type ContainerStatus = (typeof STATUSES)[Status] | 'none' | 'deleting';

/** A status of null was not asked for. */
export function containerToJson(container: Container, node: string, status: ContainerStatus | null) {
  return {
    id: container.id,
    node,
    status: container.labels[ReservedLabel.Deleting] === 'true' ? 'deleting' : status,
    image: container.image,
    labels: ownLabels(container.labels),
    runtime: container.runtime?.name ?? '',
    snapshotter: container.snapshotter,
    snapshot_key: container.snapshotKey,
    sandbox: container.sandbox,
    created_at: timeToJson(container.createdAt),
    updated_at: timeToJson(container.updatedAt),
  };
}

/** With its spec, which lists leave out. */
export function wholeContainerToJson(container: Container, node: string, status: ContainerStatus) {
  return { ...containerToJson(container, node, status), spec: specToJson(container) };
}

/** Null for one that is none of the JSON documents of the runtime spec. */
function specToJson({ spec }: Container): unknown {
  try {
    return JSON.parse(Buffer.from(spec?.value ?? '').toString());
  } catch {
    return null;
  }
}
