import type {
  CPUStat,
  IOEntry,
  MemoryStat,
  Metrics,
} from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { gauge, gauges, type Series } from './series.ts';

type V2Series = Series<Metrics>;
type Numbers<T> = { [K in keyof T]-?: T[K] extends bigint ? K : never }[keyof T];

/** What a task on cgroup v2 uses. Source: containerd core/metrics/cgroups/v2. */
export const V2_SERIES: readonly V2Series[] = [
  gauge('pids_limit', 'The limit to the number of pids allowed (cgroup v2)', ({ pids }) => pids?.limit),
  gauge('pids_current', 'The current number of pids (cgroup v2)', ({ pids }) => pids?.current),
  cpu('usage_usec_microseconds', 'Total cpu usage (cgroup v2)', 'usageUsec'),
  cpu('user_usec_microseconds', 'Current cpu usage in user space (cgroup v2)', 'userUsec'),
  cpu('system_usec_microseconds', 'Current cpu usage in kernel space (cgroup v2)', 'systemUsec'),
  cpu('nr_periods_total', 'Current cpu number of periods (only if controller is enabled)', 'nrPeriods'),
  cpu(
    'nr_throttled_total',
    'Total number of times tasks have been throttled (only if controller is enabled)',
    'nrThrottled',
  ),
  cpu(
    'throttled_usec_microseconds',
    'Total time duration for which tasks have been throttled (only if controller is enabled)',
    'throttledUsec',
  ),
  memory('usage', 'usage'),
  memory('usage_limit', 'usageLimit'),
  memory('swap_usage', 'swapUsage'),
  memory('swap_limit', 'swapLimit'),
  memory('file_mapped', 'fileMapped'),
  memory('file_dirty', 'fileDirty'),
  memory('file_writeback', 'fileWriteback'),
  memory('pgactivate', 'pgactivate'),
  memory('pgdeactivate', 'pgdeactivate'),
  memory('pgfault', 'pgfault'),
  memory('pgmajfault', 'pgmajfault'),
  memory('pglazyfree', 'pglazyfree'),
  memory('pgrefill', 'pgrefill'),
  memory('pglazyfreed', 'pglazyfreed'),
  memory('pgscan', 'pgscan'),
  memory('pgsteal', 'pgsteal'),
  memory('inactive_anon', 'inactiveAnon'),
  memory('active_anon', 'activeAnon'),
  memory('inactive_file', 'inactiveFile'),
  memory('active_file', 'activeFile'),
  memory('unevictable', 'unevictable'),
  memory('anon', 'anon'),
  memory('file', 'file'),
  memory('kernel_stack', 'kernelStack'),
  memory('slab', 'slab'),
  memory('sock', 'sock'),
  memory('shmem', 'shmem'),
  memory('anon_thp', 'anonThp'),
  memory('slab_reclaimable', 'slabReclaimable'),
  memory('slab_unreclaimable', 'slabUnreclaimable'),
  memory('workingset_refault', 'workingsetRefault'),
  memory('workingset_activate', 'workingsetActivate'),
  memory('workingset_nodereclaim', 'workingsetNodereclaim'),
  memory('thp_fault_alloc', 'thpFaultAlloc'),
  memory('thp_collapse_alloc', 'thpCollapseAlloc'),
  gauge(
    'memory_oom_total',
    'The number of times a container has received an oom event',
    ({ memoryEvents }) => memoryEvents?.oom,
  ),
  io('rbytes_bytes', 'IO bytes read', 'rbytes'),
  io('wbytes_bytes', 'IO bytes written', 'wbytes'),
  io('rios_total', 'Number of read IOs', 'rios'),
  io('wios_total', 'Number of write IOs', 'wios'),
];

function cpu(name: string, help: string, field: Numbers<CPUStat>): V2Series {
  return gauge(`cpu_${name}`, help, (stats) => stats.cpu?.[field]);
}

function memory(name: string, field: Numbers<MemoryStat>): V2Series {
  return gauge(`memory_${name}_bytes`, `The ${name} amount (cgroup v2)`, (stats) => stats.memory?.[field]);
}

function io(name: string, help: string, field: Numbers<IOEntry>): V2Series {
  return gauges(`io_${name}`, help, (stats) =>
    (stats.io?.usage ?? []).map((entry) => ({
      labels: { major: String(entry.major), minor: String(entry.minor) },
      value: entry[field],
    })),
  );
}
