import { fromBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import type { Metric } from '@longshore/proto/containerd/types/metrics';
import {
  type Metrics as CgroupV1Metrics,
  MetricsSchema as CgroupV1MetricsSchema,
} from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import {
  type Metrics as CgroupV2Metrics,
  MetricsSchema as CgroupV2MetricsSchema,
} from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { dateOf } from '../call-time.ts';

/** What a task uses, as its control group tells; which of the two there is goes by the node's kernel. */
export type TaskMetrics = { readonly time: Date | undefined } & (
  | { readonly kind: 'cgroup-v1'; readonly cgroup: CgroupV1Metrics }
  | { readonly kind: 'cgroup-v2'; readonly cgroup: CgroupV2Metrics }
  | { readonly kind: 'other'; readonly typeUrl: string; readonly value: Uint8Array }
);

export function taskMetricsFromProto([metric]: readonly Metric[], name: string): TaskMetrics {
  if (!metric?.data) throw notFound(`metrics of ${name}`);
  const { typeUrl, value } = metric.data;
  const time = dateOf(metric.timestamp);
  switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
    case CgroupV1MetricsSchema.typeName:
      return { time, kind: 'cgroup-v1', cgroup: fromBinary(CgroupV1MetricsSchema, value) };
    case CgroupV2MetricsSchema.typeName:
      return { time, kind: 'cgroup-v2', cgroup: fromBinary(CgroupV2MetricsSchema, value) };
    default:
      return { time, kind: 'other', typeUrl, value };
  }
}
