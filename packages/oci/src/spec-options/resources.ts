import type { Int64 } from '../int64.ts';
import type { IntelRdtSpec } from '../spec-linux.ts';
import type { BlockIoResources, CpuResources, MemoryResources, ResourcesSpec } from '../spec-resources.ts';
import { changeLinux, changeResources, type SpecOption } from './spec-option.ts';

/** The period of the kernel, and of `--cpus` in containerd's and Docker's clients. */
const CFS_PERIOD_US = 100_000;

/** Adds limits to those that there are; of memory and processors, one field at a time. */
export function withResources({ memory, cpu, ...others }: ResourcesSpec): SpecOption {
  return changeResources((before) => ({
    ...before,
    ...others,
    ...(memory && { memory: { ...before.memory, ...memory } }),
    ...(cpu && { cpu: { ...before.cpu, ...cpu } }),
  }));
}

export function withMemory(memory: MemoryResources): SpecOption {
  return withResources({ memory });
}

export function withMemoryLimit(limitBytes: Int64): SpecOption {
  return withMemory({ limit: limitBytes });
}

/** Of memory and swap together; -1 is no limit. */
export function withMemorySwap(limitBytes: Int64): SpecOption {
  return withMemory({ swap: limitBytes });
}

/** -1 is no limit. */
export function withPidsLimit(limit: Int64): SpecOption {
  return withResources({ pids: { limit } });
}

export function withBlockIo(blockIO: BlockIoResources): SpecOption {
  return withResources({ blockIO });
}

export function withCpu(cpu: CpuResources): SpecOption {
  return withResources({ cpu });
}

export function withCpuShares(shares: number): SpecOption {
  return withCpu({ shares });
}

/** Which processors: a list such as `0-2,7`. */
export function withCpus(cpus: string): SpecOption {
  return withCpu({ cpus });
}

/** Which memory nodes: a list such as `0-1`. */
export function withCpusMems(mems: string): SpecOption {
  return withCpu({ mems });
}

/** At most `quotaUs` of processor time in each `periodUs`. */
export function withCpuCfs(quotaUs: Int64, periodUs: Int64 = CFS_PERIOD_US): SpecOption {
  return withCpu({ quota: quotaUs, period: periodUs });
}

/** The time of this many processors: 1.5. */
export function withCpuCount(count: number): SpecOption {
  return withCpuCfs(Math.trunc(count * CFS_PERIOD_US));
}

export function withCpuBurst(burstUs: Int64): SpecOption {
  return withCpu({ burst: burstUs });
}

export function withCpuRt(runtimeUs: Int64, periodUs: Int64): SpecOption {
  return withCpu({ realtimeRuntime: runtimeUs, realtimePeriod: periodUs });
}

export function withRdt(intelRdt: IntelRdtSpec): SpecOption {
  return changeLinux((linux) => ({ ...linux, intelRdt }));
}
