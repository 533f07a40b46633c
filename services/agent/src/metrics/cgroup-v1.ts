import type {
  BlkIOEntry,
  BlkIOStat,
  HugetlbStat,
  MemoryEntry,
  MemoryStat,
  Metrics,
} from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import { gauge, gauges, type Series } from './series.ts';

type V1Series = Series<Metrics>;
type Numbers<T> = { [K in keyof T]-?: T[K] extends bigint ? K : never }[keyof T];

/** What a task on cgroup v1 uses, but for its OOM events. Source: containerd core/metrics/cgroups/v1. */
export const V1_SERIES: readonly V1Series[] = [
  gauge('pids_limit', 'The limit to the number of pids allowed', ({ pids }) => pids?.limit),
  gauge('pids_current', 'The current number of pids', ({ pids }) => pids?.current),
  gauge('cpu_total_nanoseconds', 'The total cpu time', ({ cpu }) => cpu?.usage?.total),
  gauge('cpu_kernel_nanoseconds', 'The total kernel cpu time', ({ cpu }) => cpu?.usage?.kernel),
  gauge('cpu_user_nanoseconds', 'The total user cpu time', ({ cpu }) => cpu?.usage?.user),
  gauges('per_cpu_nanoseconds', 'The total cpu time per cpu', ({ cpu }) =>
    (cpu?.usage?.perCpu ?? []).map((value, i) => ({ labels: { cpu: String(i) }, value })),
  ),
  gauge(
    'cpu_throttle_periods_total',
    'The total cpu throttle periods',
    ({ cpu }) => cpu?.throttling?.periods,
  ),
  gauge(
    'cpu_throttled_periods_total',
    'The total cpu throttled periods',
    ({ cpu }) => cpu?.throttling?.throttledPeriods,
  ),
  gauge(
    'cpu_throttled_time_nanoseconds',
    'The total cpu throttled time',
    ({ cpu }) => cpu?.throttling?.throttledTime,
  ),
  memory('cache', 'cache'),
  memory('rss', 'rss'),
  memory('rss_huge', 'rssHuge'),
  memory('mapped_file', 'mappedFile'),
  memory('dirty', 'dirty'),
  memory('writeback', 'writeback'),
  memory('pgpgin', 'pgPgIn'),
  memory('pgpgout', 'pgPgOut'),
  memory('pgfault', 'pgFault'),
  memory('pgmajfault', 'pgMajFault'),
  memory('inactive_anon', 'inactiveAnon'),
  memory('active_anon', 'activeAnon'),
  memory('inactive_file', 'inactiveFile'),
  memory('active_file', 'activeFile'),
  memory('unevictable', 'unevictable'),
  memory('hierarchical_memory_limit', 'hierarchicalMemoryLimit'),
  memory('hierarchical_memsw_limit', 'hierarchicalSwapLimit'),
  memory('total_cache', 'totalCache'),
  memory('total_rss', 'totalRss'),
  memory('total_rss_huge', 'totalRssHuge'),
  memory('total_mapped_file', 'totalMappedFile'),
  memory('total_dirty', 'totalDirty'),
  memory('total_writeback', 'totalWriteback'),
  memory('total_pgpgin', 'totalPgPgIn'),
  memory('total_pgpgout', 'totalPgPgOut'),
  memory('total_pgfault', 'totalPgFault'),
  memory('total_pgmajfault', 'totalPgMajFault'),
  memory('total_inactive_anon', 'totalInactiveAnon'),
  memory('total_active_anon', 'totalActiveAnon'),
  memory('total_inactive_file', 'totalInactiveFile'),
  memory('total_active_file', 'totalActiveFile'),
  memory('total_unevictable', 'totalUnevictable'),
  ...limited('usage', 'memory', (memory) => memory.usage),
  ...limited('swap', 'swap', (memory) => memory.swap),
  ...limited('kernel', 'kernel', (memory) => memory.kernel),
  ...limited('kerneltcp', 'kerneltcp', (memory) => memory.kernelTcp),
  hugePages('usage_bytes', 'usage', 'usage'),
  hugePages('failcnt_total', 'failcnt', 'failcnt'),
  hugePages('max_bytes', 'maximum usage', 'max'),
  blockDevices('io_merged_recursive_total', (blkio) => blkio.ioMergedRecursive),
  blockDevices('io_queued_recursive_total', (blkio) => blkio.ioQueuedRecursive),
  blockDevices('io_service_bytes_recursive_bytes', (blkio) => blkio.ioServiceBytesRecursive),
  blockDevices('io_service_time_recursive_total', (blkio) => blkio.ioServiceTimeRecursive),
  blockDevices('io_serviced_recursive_total', (blkio) => blkio.ioServicedRecursive),
  blockDevices('io_time_recursive_total', (blkio) => blkio.ioTimeRecursive),
  blockDevices('sectors_recursive_total', (blkio) => blkio.sectorsRecursive),
];

function memory(name: string, field: Numbers<MemoryStat>): V1Series {
  return gauge(`memory_${name}_bytes`, `The ${name} amount`, ({ memory }) => memory?.[field]);
}

function limited(
  name: string,
  what: string,
  entry: (memory: MemoryStat) => MemoryEntry | undefined,
): V1Series[] {
  const of = (field: Numbers<MemoryEntry>) => (stats: Metrics) =>
    stats.memory && entry(stats.memory)?.[field];
  return [
    gauge(`memory_${name}_failcnt_total`, `How often the ${what} limit was hit`, of('failcnt')),
    gauge(`memory_${name}_limit_bytes`, `The ${what} limit`, of('limit')),
    gauge(`memory_${name}_max_bytes`, `The ${what} maximum usage`, of('max')),
    gauge(`memory_${name}_usage_bytes`, `The ${what} usage`, of('usage')),
  ];
}

function hugePages(name: string, what: string, field: Numbers<HugetlbStat>): V1Series {
  return gauges(`hugetlb_${name}`, `The hugetlb ${what}`, ({ hugetlb }) =>
    hugetlb.map((stat) => ({ labels: { page: stat.pagesize }, value: stat[field] })),
  );
}

function blockDevices(name: string, entries: (blkio: BlkIOStat) => BlkIOEntry[]): V1Series {
  const help = `The blkio ${name.replace(/_(total|bytes)$/, '').replaceAll('_', ' ')}`;
  return gauges(`blkio_${name}`, help, ({ blkio }) =>
    (blkio ? entries(blkio) : []).map(({ op, device, major, minor, value }) => ({
      labels: { op, device, major: String(major), minor: String(minor) },
      value,
    })),
  );
}
