import { fromBinary } from '@bufbuild/protobuf';
import { failedPrecondition, unavailable } from '@longshore/errors';
import type { Metric } from '@longshore/proto/containerd/types/metrics';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import * as v1 from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import * as v2 from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { timeToJson } from '../time.ts';
import type { TaskTarget } from './task-target.ts';

/** What the kernel says of no limit: on v2 the highest number there is, on v1 that of whole pages. */
const NO_LIMIT = 2n ** 62n;
const NS_PER_US = 1_000n;

/** What a task has used, alike for both versions of cgroups. */
export interface Usage {
  cpu: Record<
    'usage_ns' | 'user_ns' | 'system_ns' | 'periods' | 'throttled_periods' | 'throttled_ns',
    bigint
  >;
  memory: Record<'usage_bytes' | 'max_usage_bytes' | 'swap_usage_bytes' | 'oom_kills', bigint> & {
    /** Without file pages that can be dropped at once: what counts against the limit for good. */
    working_set_bytes: bigint;
    limit_bytes: bigint;
    swap_limit_bytes: bigint;
  };
  pids: { current: bigint; limit: bigint };
  io: Record<'read_bytes' | 'write_bytes' | 'reads' | 'writes', bigint>;
}

/** A sample of a task's usage, and when it was taken. */
export interface Sample {
  usage: Usage;
  metric: Metric;
}

/**
 * What the task uses now. Throws NotFound without a task, FailedPrecondition for one that has ended, and Unavailable when
 * its node cannot tell.
 */
export async function sample(target: TaskTarget): Promise<Sample> {
  const { id, call, tasks } = target;
  // A shim goes on telling of the empty group of a task that has ended.
  await requireGoing(target);
  const { metrics } = await tasks.metrics({ filters: [`id==${JSON.stringify(id)}`] }, call);
  const [metric] = metrics;
  const usage = metric?.data && usageOf(metric.data);
  if (usage) return { usage, metric };
  await requireGoing(target);
  throw unavailable(`task ${id}: its node cannot tell what it uses`);
}

async function requireGoing({ id, call, tasks }: TaskTarget): Promise<void> {
  const { process } = await tasks.get({ containerId: id }, call);
  if (process?.status === Status.STOPPED) throw failedPrecondition(`task ${id}: has ended`);
}

/** Numbers for people and for JSON; `percent` is of one CPU, since the sample before. */
export function sampleToJson({ usage, metric }: Sample, before?: Sample) {
  const { cpu, memory, pids, io } = usage;
  return {
    time: timeToJson(metric.timestamp),
    cpu: { ...numbers(cpu), percent: before ? percentOf(usage, metric, before) : null },
    memory: {
      ...numbers(memory),
      limit_bytes: limit(memory.limit_bytes),
      swap_limit_bytes: limit(memory.swap_limit_bytes),
    },
    pids: { current: Number(pids.current), limit: limit(pids.limit) },
    io: numbers(io),
  };
}

/** Undefined for what is no cgroup's. */
export function usageOf({ typeUrl, value }: { typeUrl: string; value: Uint8Array }): Usage | undefined {
  const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  if (type === v2.MetricsSchema.typeName) return usageOfV2(fromBinary(v2.MetricsSchema, value));
  if (type === v1.MetricsSchema.typeName) return usageOfV1(fromBinary(v1.MetricsSchema, value));
  return undefined;
}

function usageOfV2({ cpu, memory, memoryEvents, pids, io }: v2.Metrics): Usage {
  return {
    cpu: {
      usage_ns: (cpu?.usageUsec ?? 0n) * NS_PER_US,
      user_ns: (cpu?.userUsec ?? 0n) * NS_PER_US,
      system_ns: (cpu?.systemUsec ?? 0n) * NS_PER_US,
      periods: cpu?.nrPeriods ?? 0n,
      throttled_periods: cpu?.nrThrottled ?? 0n,
      throttled_ns: (cpu?.throttledUsec ?? 0n) * NS_PER_US,
    },
    memory: {
      usage_bytes: memory?.usage ?? 0n,
      working_set_bytes: less(memory?.usage, memory?.inactiveFile),
      limit_bytes: memory?.usageLimit ?? 0n,
      max_usage_bytes: memory?.maxUsage ?? 0n,
      swap_usage_bytes: memory?.swapUsage ?? 0n,
      swap_limit_bytes: memory?.swapLimit ?? 0n,
      oom_kills: memoryEvents?.oomKill ?? 0n,
    },
    pids: { current: pids?.current ?? 0n, limit: pids?.limit ?? 0n },
    io: {
      read_bytes: sum(io?.usage, ({ rbytes }) => rbytes),
      write_bytes: sum(io?.usage, ({ wbytes }) => wbytes),
      reads: sum(io?.usage, ({ rios }) => rios),
      writes: sum(io?.usage, ({ wios }) => wios),
    },
  };
}

function usageOfV1({ cpu, memory, memoryOomControl, pids, blkio }: v1.Metrics): Usage {
  const total = (entries: v1.BlkIOEntry[] | undefined, op: string) =>
    sum(entries, (entry) => (entry.op.toLowerCase() === op ? entry.value : 0n));
  const [bytes, operations] = [blkio?.ioServiceBytesRecursive, blkio?.ioServicedRecursive];
  return {
    cpu: {
      usage_ns: cpu?.usage?.total ?? 0n,
      user_ns: cpu?.usage?.user ?? 0n,
      system_ns: cpu?.usage?.kernel ?? 0n,
      periods: cpu?.throttling?.periods ?? 0n,
      throttled_periods: cpu?.throttling?.throttledPeriods ?? 0n,
      throttled_ns: cpu?.throttling?.throttledTime ?? 0n,
    },
    memory: {
      usage_bytes: memory?.usage?.usage ?? 0n,
      working_set_bytes: less(memory?.usage?.usage, memory?.totalInactiveFile),
      limit_bytes: memory?.hierarchicalMemoryLimit ?? 0n,
      max_usage_bytes: memory?.usage?.max ?? 0n,
      // The kernel counts memory and swap together.
      swap_usage_bytes: less(memory?.swap?.usage, memory?.usage?.usage),
      swap_limit_bytes: memory?.hierarchicalSwapLimit ?? 0n,
      oom_kills: memoryOomControl?.oomKill ?? 0n,
    },
    pids: { current: pids?.current ?? 0n, limit: pids?.limit ?? 0n },
    io: {
      read_bytes: total(bytes, 'read'),
      write_bytes: total(bytes, 'write'),
      reads: total(operations, 'read'),
      writes: total(operations, 'write'),
    },
  };
}

/** Of one CPU; 200 for two that are busy. */
function percentOf({ cpu }: Usage, metric: Metric, before: Sample): number {
  const elapsedNs = nanoseconds(metric) - nanoseconds(before.metric);
  if (elapsedNs <= 0n) return 0;
  const usedNs = less(cpu.usage_ns, before.usage.cpu.usage_ns);
  return Math.round((Number(usedNs) / Number(elapsedNs)) * 10_000) / 100;
}

function nanoseconds({ timestamp }: Metric): bigint {
  return (timestamp?.seconds ?? 0n) * 1_000_000_000n + BigInt(timestamp?.nanos ?? 0);
}

function limit(value: bigint): number | null {
  return value === 0n || value >= NO_LIMIT ? null : Number(value);
}

function less(value = 0n, part = 0n): bigint {
  return value > part ? value - part : 0n;
}

function sum<T>(values: readonly T[] | undefined, of: (value: T) => bigint): bigint {
  return (values ?? []).reduce((total, value) => total + of(value), 0n);
}

function numbers<K extends string>(values: Record<K, bigint>): Record<K, number> {
  return Object.fromEntries(
    Object.entries<bigint>(values).map(([name, value]) => [name, Number(value)]),
  ) as Record<K, number>;
}
