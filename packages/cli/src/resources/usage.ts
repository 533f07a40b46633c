import { fromBinary } from '@bufbuild/protobuf';
import type { Metric } from '@longshore/proto/containerd/types/metrics';
import {
  type Metrics as CgroupV1,
  MetricsSchema as CgroupV1Schema,
} from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import {
  type Metrics as CgroupV2,
  MetricsSchema as CgroupV2Schema,
} from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { millisecondsOf } from '../output/quantity.ts';

/** What a container has used up to one moment, whichever version of cgroups its node has. */
export interface Usage {
  id: string;
  /** When it was read, in milliseconds since 1970. */
  time: number;
  /** CPU time, in milliseconds. */
  cpuMs: number;
  memoryBytes: number;
  /** Undefined: no limit. */
  memoryLimitBytes: number | undefined;
  pids: number;
  readBytes: number;
  writtenBytes: number;
}

/** Kernels tell of no limit by a number near the largest there is. */
const NO_LIMIT_BYTES = 2 ** 60;

/** Undefined for a container whose runtime tells of something else than cgroups. */
export function usageOf({ id, timestamp, data }: Metric): Usage | undefined {
  if (!data || !timestamp) return undefined;
  const common = { id, time: millisecondsOf(timestamp) };
  const type = data.typeUrl.slice(data.typeUrl.lastIndexOf('/') + 1);
  if (type === CgroupV2Schema.typeName)
    return { ...common, ...ofVersion2(fromBinary(CgroupV2Schema, data.value)) };
  if (type === CgroupV1Schema.typeName)
    return { ...common, ...ofVersion1(fromBinary(CgroupV1Schema, data.value)) };
  return undefined;
}

/** Share of one CPU between two readings, in percent; more than 100 with several CPUs. */
export function cpuPercent(before: Usage, after: Usage): number {
  const elapsedMs = after.time - before.time;
  return elapsedMs <= 0 ? 0 : Math.max(0, ((after.cpuMs - before.cpuMs) / elapsedMs) * 100);
}

function ofVersion2({ cpu, memory, pids, io }: CgroupV2): Omit<Usage, 'id' | 'time'> {
  const sum = (read: (entry: { rbytes: bigint; wbytes: bigint }) => bigint) =>
    Number((io?.usage ?? []).reduce((total, entry) => total + read(entry), 0n));
  return {
    cpuMs: Number(cpu?.usageUsec ?? 0n) / 1_000,
    // What can be given back at once is not counted, as Docker does it.
    memoryBytes: Math.max(0, Number((memory?.usage ?? 0n) - (memory?.inactiveFile ?? 0n))),
    memoryLimitBytes: limitOf(memory?.usageLimit),
    pids: Number(pids?.current ?? 0n),
    readBytes: sum(({ rbytes }) => rbytes),
    writtenBytes: sum(({ wbytes }) => wbytes),
  };
}

function ofVersion1({ cpu, memory, pids, blkio }: CgroupV1): Omit<Usage, 'id' | 'time'> {
  const bytes = (operation: string) => {
    const entries = blkio?.ioServiceBytesRecursive ?? [];
    return Number(entries.reduce((sum, { op, value }) => (op === operation ? sum + value : sum), 0n));
  };
  const used = (memory?.usage?.usage ?? 0n) - (memory?.totalInactiveFile ?? 0n);
  return {
    cpuMs: Number(cpu?.usage?.total ?? 0n) / 1e6,
    memoryBytes: Math.max(0, Number(used)),
    memoryLimitBytes: limitOf(memory?.usage?.limit),
    pids: Number(pids?.current ?? 0n),
    readBytes: bytes('Read'),
    writtenBytes: bytes('Write'),
  };
}

function limitOf(bytes: bigint | undefined): number | undefined {
  const limit = Number(bytes ?? 0n);
  return limit === 0 || limit >= NO_LIMIT_BYTES ? undefined : limit;
}
