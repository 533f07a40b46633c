import { create, type DescMessage, type MessageShape, ScalarType } from '@bufbuild/protobuf';
import { MetricsSchema as V1Schema } from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import { MetricsSchema as V2Schema } from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { describe, expect, it } from 'vitest';
import { V1_SERIES } from './cgroup-v1.ts';
import { V2_SERIES } from './cgroup-v2.ts';
import type { Series } from './series.ts';

/** A message all of whose numbers differ, by the path of their field; lists have one item. */
function filled<D extends DescMessage>(schema: D): { stats: MessageShape<D>; paths: Map<bigint, string> } {
  const paths = new Map<bigint, string>();
  const fill = (desc: DescMessage, path: string): Record<string, unknown> =>
    Object.fromEntries(
      desc.fields.map((field) => [field.localName, valueIn(field, `${path}${field.name}`)] as const),
    );
  const valueIn = (field: DescMessage['fields'][number], path: string): unknown => {
    if (field.message) {
      const message = create(field.message, fill(field.message, `${path}.`) as never);
      return field.fieldKind === 'list' ? [message] : message;
    }
    const scalar = field.fieldKind === 'list' ? field.listKind === 'scalar' && field.scalar : field.scalar;
    if (scalar === ScalarType.STRING) return path;
    if (scalar !== ScalarType.UINT64) return 0;
    const value = BigInt(1000 + paths.size);
    paths.set(value, path);
    return field.fieldKind === 'list' ? [value] : value;
  };
  const stats = create(schema, fill(schema, '') as never) as MessageShape<D>;
  return { stats, paths };
}

/** `name{labels} field` of every value. */
function sampled<Stats>(table: readonly Series<Stats>[], stats: Stats, paths: Map<bigint, string>): string[] {
  return table.flatMap(({ name, samples }) =>
    samples(stats).map(({ labels = {}, value }) => {
      const names = Object.keys(labels).join(',');
      return `${name}${names && `{${names}}`} ${paths.get(BigInt(value))}`;
    }),
  );
}

/** Fields of which no series tells. */
function untold(lines: string[], paths: Map<bigint, string>): string[] {
  const told = new Set(lines.map((line) => line.split(' ')[1]));
  return [...paths.values()].filter((path) => !told.has(path));
}

describe('V1_SERIES', () => {
  it('tells of every number once, but for those that containerd does not tell of', () => {
    const { stats, paths } = filled(V1Schema);
    const lines = sampled(V1_SERIES, stats, paths);
    expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBe(lines.length);
    const others =
      /^(rdma|network|cgroup_stats|memory_oom_control|blkio\.\w+\.(major|minor)|blkio\.io_wait_time)/;
    expect(untold(lines, paths).filter((path) => !others.test(path))).toEqual([]);
  });

  it('says what each is of', () => {
    const { stats, paths } = filled(V1Schema);
    const lines = sampled(V1_SERIES, stats, paths);
    expect(lines).toEqual(
      expect.arrayContaining([
        'container_pids_limit pids.limit',
        'container_per_cpu_nanoseconds{cpu} cpu.usage.per_cpu',
        'container_cpu_throttled_time_nanoseconds cpu.throttling.throttled_time',
        'container_memory_hierarchical_memsw_limit_bytes memory.hierarchical_swap_limit',
        'container_memory_kerneltcp_max_bytes memory.kernel_tcp.max',
        'container_memory_usage_failcnt_total memory.usage.failcnt',
        'container_hugetlb_failcnt_total{page} hugetlb.failcnt',
        'container_blkio_sectors_recursive_total{op,device,major,minor} blkio.sectors_recursive.value',
        'container_blkio_io_service_bytes_recursive_bytes{op,device,major,minor} blkio.io_service_bytes_recursive.value',
      ]),
    );
  });

  it('has no series of what the shim does not tell', () => {
    const stats = create(V1Schema, { memory: { cache: 7n }, cpu: {} });
    const names = sampled(V1_SERIES, stats, new Map()).map((line) => line.split(' ')[0]);
    expect(names).toContain('container_memory_cache_bytes');
    expect(names.filter((name) => !/^container_memory_\w+_bytes$/.test(name!))).toEqual([]);
    expect(names).not.toContain('container_memory_usage_usage_bytes');
  });
});

describe('V2_SERIES', () => {
  it('tells of every number once, but for those that containerd does not tell of', () => {
    const { stats, paths } = filled(V2Schema);
    const lines = sampled(V2_SERIES, stats, paths);
    expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBe(lines.length);
    const others =
      /^(rdma|network|hugetlb|memory_events\.(?!oom$)|io\.usage\.(major|minor)|\w+\.psi|cpu\.(nr_bursts|burst_usec)|memory\.(swap_)?max_usage)/;
    expect(untold(lines, paths).filter((path) => !others.test(path))).toEqual([]);
    for (const line of lines.filter((one) => one.startsWith('container_memory_') && one.includes('_bytes'))) {
      const [name, path] = line.split(' ');
      expect(name).toBe(`container_memory_${path!.replace('memory.', '')}_bytes`);
    }
    expect(lines.filter((line) => !line.includes('_bytes memory.'))).toEqual([
      'container_pids_limit pids.limit',
      'container_pids_current pids.current',
      'container_cpu_usage_usec_microseconds cpu.usage_usec',
      'container_cpu_user_usec_microseconds cpu.user_usec',
      'container_cpu_system_usec_microseconds cpu.system_usec',
      'container_cpu_nr_periods_total cpu.nr_periods',
      'container_cpu_nr_throttled_total cpu.nr_throttled',
      'container_cpu_throttled_usec_microseconds cpu.throttled_usec',
      'container_memory_oom_total memory_events.oom',
      'container_io_rbytes_bytes{major,minor} io.usage.rbytes',
      'container_io_wbytes_bytes{major,minor} io.usage.wbytes',
      'container_io_rios_total{major,minor} io.usage.rios',
      'container_io_wios_total{major,minor} io.usage.wios',
    ]);
  });
});
