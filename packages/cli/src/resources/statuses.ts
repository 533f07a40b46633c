import { Status } from '@longshore/proto/containerd/v1/types/task';

/** In the words of the HTTP API. */
export const STATUSES = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'pausing',
} as const;

/** Of a container's task; `none` without one. `deleting`: deleted while its node was away; */
export type ContainerStatus = (typeof STATUSES)[Status] | 'none' | 'deleting';

export const STATUS_NAMES: readonly ContainerStatus[] = [...Object.values(STATUSES), 'none', 'deleting'];
