import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { cpus, hostname, release, totalmem } from 'node:os';
import { delimiter } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { NodeSchema } from '@longshore/proto/longshore/runtime/v1/nodes';
import { SOFTWARE_VERSION } from './version.ts';

/** 2 where the unified hierarchy alone is mounted; 1 for version 1 and for the hybrid. */
export function cgroupVersion(): 1 | 2 {
  return existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1;
}

export interface HostOptions {
  nodeId: string;
  /** Where the control plane reaches the agent; empty while nobody knows. */
  address: string;
  labels: Record<string, string>;
  machineId: string;
  snapshotters: string[];
  /** On the file system whose size counts. */
  root: string;
  /** A PATH, where runtimes are looked for. */
  searchPath: string;
}

/** What this node reports of itself. */
export function hostReport(options: HostOptions): MessageInitShape<typeof NodeSchema> {
  const { nodeId, address, labels, machineId, snapshotters, root, searchPath } = options;
  const disk = statfsSync(root, { bigint: true });
  return {
    id: nodeId,
    address,
    labels,
    hostname: hostname(),
    kernel: release(),
    architecture: process.arch,
    cgroupVersion: cgroupVersion(),
    softwareVersion: SOFTWARE_VERSION,
    snapshotters,
    capacity: {
      cpus: cpus().length,
      memoryBytes: BigInt(totalmem()),
      diskBytes: disk.bsize * disk.blocks,
    },
    runtimes: runtimesOn(searchPath),
    machineId,
  };
}

/** What tells this machine from others: the operating system's name for it, else the node's own from its disk. */
export function machineIdOf(configured: string, uuid: string): string {
  return configured || read('/etc/machine-id') || uuid;
}

/** `containerd-shim-runc-v2` is the binary of `io.containerd.runc.v2`. */
export function runtimesOn(searchPath: string): string[] {
  const names = searchPath.split(delimiter).flatMap(namesIn);
  const shims = names.map((name) => /^containerd-shim-([a-z0-9_-]+)-(v\d+)$/.exec(name));
  const found = shims.flatMap((match) => (match ? [`io.containerd.${match[1]}.${match[2]}`] : []));
  return [...new Set(found)].sort();
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // A PATH may name what is not there.
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Not every system has one.
    return '';
  }
}
