import type { Int64 } from './int64.ts';

/** What a control group allows. Source: OCI runtime-spec 1.2 config-linux.md, Control groups. */
export interface ResourcesSpec {
  /** The last rule that fits a device decides. */
  devices?: DeviceRule[];
  memory?: MemoryResources;
  cpu?: CpuResources;
  /** -1 is no limit. */
  pids?: { limit: Int64 };
  blockIO?: BlockIoResources;
  hugepageLimits?: { pageSize: string; limit: Int64 }[];
  network?: { classID?: number; priorities?: { name: string; priority: number }[] };
  /** By device. */
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>;
  /** Files of cgroup version 2, and what is written to them. */
  unified?: Record<string, string>;
}

/** What is left out fits every device. */
export interface DeviceRule {
  allow: boolean;
  type?: 'a' | 'b' | 'c';
  major?: number;
  minor?: number;
  /** Of the letters of `rwm`: read, write, mknod. */
  access?: string;
}

/** In bytes; -1 is no limit. */
export interface MemoryResources {
  limit?: Int64;
  reservation?: Int64;
  /** Memory and swap together. */
  swap?: Int64;
  /** Deprecated. */
  kernel?: Int64;
  kernelTCP?: Int64;
  /** 0 to 100. */
  swappiness?: number;
  disableOOMKiller?: boolean;
  useHierarchy?: boolean;
  checkBeforeUpdate?: boolean;
}

/** Times are in microseconds. */
export interface CpuResources {
  /** Relative weight; 1024 is the usual one. */
  shares?: number;
  quota?: Int64;
  period?: Int64;
  burst?: Int64;
  realtimeRuntime?: Int64;
  realtimePeriod?: Int64;
  /** A list such as `0-2,7`. */
  cpus?: string;
  /** Memory nodes, a list such as `0-1`. */
  mems?: string;
  /** 1 for SCHED_IDLE. */
  idle?: number;
}

interface BlockDevice {
  major: number;
  minor: number;
}

/** Rates are in bytes or operations per second. */
export interface BlockIoResources {
  weight?: number;
  leafWeight?: number;
  weightDevice?: (BlockDevice & { weight?: number; leafWeight?: number })[];
  throttleReadBpsDevice?: (BlockDevice & { rate: Int64 })[];
  throttleWriteBpsDevice?: (BlockDevice & { rate: Int64 })[];
  throttleReadIOPSDevice?: (BlockDevice & { rate: Int64 })[];
  throttleWriteIOPSDevice?: (BlockDevice & { rate: Int64 })[];
}
