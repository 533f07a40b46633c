import {
  composeSpecOptions,
  RLIM_INFINITY,
  type SpecOption,
  withCpuCfs,
  withCpuShares,
  withCpus,
  withCpusMems,
  withMemoryLimit,
  withMemorySwap,
  withPidsLimit,
  withRlimit,
} from '@longshore/oci/runtime-spec';
import type { Command } from 'commander';
import { collect } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { parseCount, parseLimit } from './sizes.ts';

/** Microseconds. */
const CPU_PERIOD = 100_000;
/** Below, the kernel refuses. Source: Linux Documentation/scheduler/sched-bwc.rst. */
const MIN_CPUS = 0.01;

export interface LimitFlags {
  memory?: number;
  memorySwap?: number;
  cpus?: number;
  cpuShares?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  pidsLimit?: number;
  ulimit?: string[];
}

export function addLimitFlags(command: Command): void {
  command
    .option('-m, --memory <size>', 'most memory that it may use, e.g. 512m', (text) =>
      parseLimit(text, '--memory'),
    )
    .option('--memory-swap <size>', 'most memory and swap together; -1 for any', (text) =>
      parseLimit(text, '--memory-swap'),
    )
    .option('--cpus <number>', 'most processors that it may use, e.g. 1.5', parseCpus)
    .option('--cpu-shares <shares>', 'its weight among others (2 to 262144)', (text) =>
      parseCount(text, '--cpu-shares'),
    )
    .option('--cpuset-cpus <list>', 'processors that it may run on, e.g. 0-3')
    .option('--cpuset-mems <list>', 'memory nodes that it may use')
    .option('--pids-limit <number>', 'most processes; -1 for any', (text) => parseCount(text, '--pids-limit'))
    .option('--ulimit <name=soft[:hard]>', 'limit as of setrlimit(2), e.g. nofile=1024:4096', collect);
}

export function limitOptions(flags: LimitFlags): SpecOption {
  const options: (SpecOption | undefined)[] = [
    given(flags.memory, withMemoryLimit),
    given(flags.memorySwap, withMemorySwap),
    given(flags.cpus, (cpus) => withCpuCfs(Math.round(cpus * CPU_PERIOD), CPU_PERIOD)),
    given(flags.cpuShares, withCpuShares),
    given(flags.cpusetCpus, withCpus),
    given(flags.cpusetMems, withCpusMems),
    given(flags.pidsLimit, withPidsLimit),
    ...(flags.ulimit ?? []).map(parseUlimit),
  ];
  return composeSpecOptions(...options.filter((option) => option !== undefined));
}

function given<T>(value: T | undefined, option: (value: T) => SpecOption): SpecOption | undefined {
  return value === undefined ? undefined : option(value);
}

function parseCpus(text: string): number {
  const cpus = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (cpus >= MIN_CPUS) return cpus;
  throw new UsageError(`--cpus "${text}": no number of processors`, 'e.g. 0.5');
}

function parseUlimit(text: string): SpecOption {
  const [, name, soft, hard = soft] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(text) ?? [];
  if (name === undefined)
    throw new UsageError(`--ulimit "${text}": not NAME=SOFT[:HARD]`, 'e.g. nofile=1024:4096');
  return withRlimit(`RLIMIT_${name.toUpperCase()}`, limitOf(soft!), limitOf(hard!));
}

function limitOf(text: string): bigint {
  return text === '-1' ? RLIM_INFINITY : BigInt(text);
}
