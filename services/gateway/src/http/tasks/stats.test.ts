import { create, toBinary } from '@bufbuild/protobuf';
import { MetricSchema } from '@longshore/proto/containerd/types/metrics';
import * as v1 from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import * as v2 from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { describe, expect, it } from 'vitest';
import { type Sample, sampleToJson, usageOf } from './stats.ts';

const V2 = create(v2.MetricsSchema, {
  cpu: {
    usageUsec: 3_000_000n,
    userUsec: 2_000_000n,
    systemUsec: 1_000_000n,
    nrPeriods: 9n,
    throttledUsec: 4n,
  },
  memory: { usage: 100n, inactiveFile: 30n, usageLimit: 2n ** 64n - 1n, swapLimit: 50n },
  memoryEvents: { oomKill: 1n },
  pids: { current: 2n, limit: 5n },
  io: { usage: [{ rbytes: 1n, wios: 2n }, { rbytes: 10n }] },
});

const V1 = create(v1.MetricsSchema, {
  cpu: { usage: { total: 3_000_000_000n, user: 2_000_000_000n, kernel: 1_000_000_000n } },
  memory: {
    usage: { usage: 100n, max: 120n },
    swap: { usage: 107n },
    totalInactiveFile: 30n,
    hierarchicalMemoryLimit: 9223372036854771712n,
  },
  memoryOomControl: { oomKill: 1n },
  pids: { current: 2n },
  blkio: {
    ioServiceBytesRecursive: [
      { op: 'Read', value: 4n },
      { op: 'Write', value: 5n },
      { op: 'Total', value: 9n },
    ],
  },
});

function sample(usageUsec: bigint, seconds: bigint): Sample {
  const value = toBinary(v2.MetricsSchema, { ...V2, cpu: { ...V2.cpu!, usageUsec } });
  const usage = usageOf({ typeUrl: v2.MetricsSchema.typeName, value })!;
  return { usage, metric: create(MetricSchema, { timestamp: { seconds } }) };
}

describe('usage', () => {
  it('is told alike of both versions of cgroups', () => {
    const metric = create(MetricSchema, { timestamp: { seconds: 1n } });
    const [of1, of2] = [
      usageOf({ typeUrl: `types/${v1.MetricsSchema.typeName}`, value: toBinary(v1.MetricsSchema, V1) })!,
      usageOf({ typeUrl: v2.MetricsSchema.typeName, value: toBinary(v2.MetricsSchema, V2) })!,
    ].map((usage) => sampleToJson({ usage, metric }));
    expect(of2).toMatchObject({
      time: '1970-01-01T00:00:01.000Z',
      cpu: { usage_ns: 3e9, user_ns: 2e9, system_ns: 1e9, periods: 9, throttled_ns: 4000, percent: null },
      memory: {
        usage_bytes: 100,
        working_set_bytes: 70,
        limit_bytes: null,
        swap_limit_bytes: 50,
        oom_kills: 1,
      },
      pids: { current: 2, limit: 5 },
      io: { read_bytes: 11, write_bytes: 0, reads: 0, writes: 2 },
    });
    expect(of1).toMatchObject({
      cpu: { usage_ns: 3e9, user_ns: 2e9, system_ns: 1e9 },
      memory: {
        working_set_bytes: 70,
        max_usage_bytes: 120,
        swap_usage_bytes: 7,
        limit_bytes: null,
        oom_kills: 1,
      },
      pids: { current: 2, limit: null },
      io: { read_bytes: 4, write_bytes: 5 },
    });
    expect(usageOf({ typeUrl: 'windows', value: new Uint8Array() })).toBeUndefined();
  });

  it('tells the share of a CPU between two samples', () => {
    const json = sampleToJson(sample(4_500_000n, 3n), sample(3_000_000n, 1n));
    expect(json.cpu.percent).toBe(75);
    expect(sampleToJson(sample(1n, 1n), sample(3_000_000n, 1n)).cpu.percent).toBe(0);
  });
});
