import { statfsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument } from '@longshore/errors';
import { fromErrno, isErrno } from './errno.ts';
import { readMountInfo } from './mount-info.ts';

/** `unified`: version 2 only; `hybrid`: version 1 controllers beside a version 2 tree; `legacy`: version 1 only. */
export type CgroupMode = 'unified' | 'hybrid' | 'legacy' | 'unavailable';

const CGROUP_ROOT = '/sys/fs/cgroup';
/** File system types in statfs(2). Source: linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270;
const TMPFS_MAGIC = 0x01021994;

/** How this host arranges control groups. Source: containerd/cgroups utils.go Mode. */
export function cgroupMode(): CgroupMode {
  const type = fileSystemType(CGROUP_ROOT);
  if (type === CGROUP2_MAGIC) return 'unified';
  if (type !== TMPFS_MAGIC) return 'unavailable';
  return fileSystemType(join(CGROUP_ROOT, 'unified')) === CGROUP2_MAGIC ? 'hybrid' : 'legacy';
}

/** Where the hierarchies are mounted: one directory for each version 1 controller, one for version 2. */
export function cgroupHierarchies(): string[] {
  const mounts = readMountInfo().filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
  return [...new Set(mounts.map((mount) => mount.mountPoint))];
}

export interface RemoveCgroupOptions {
  /** How long to wait for dying processes to leave, in milliseconds. */
  timeoutMs?: number;
}

/** A cgroup stays busy for moments after its last process was reaped. */
const DEFAULT_TIMEOUT_MS = 1000;
const RETRY_DELAY_MS = 10;

/**
 * Removes a control group and those below it from every hierarchy; one that is not there is fine.
 * `path` is as in `/proc/<pid>/cgroup`, e.g. `/longshore/default/web`. Kills nothing: while processes are in it,
 * FailedPrecondition after the timeout.
 */
export async function removeCgroup(path: string, options: RemoveCgroupOptions = {}): Promise<void> {
  checkCgroupPath(path);
  const deadline = Date.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  for (const hierarchy of cgroupHierarchies()) await removeTree(join(hierarchy, path), deadline);
}

/** Refuses what could name the root, or something beside the hierarchies. */
export function checkCgroupPath(path: string): void {
  if (!path.startsWith('/') || path.endsWith('/') || normalize(path) !== path) {
    throw invalidArgument(`cgroup "${path}" must be an absolute, clean path below the root`);
  }
}

async function removeTree(directory: string, deadline: number): Promise<void> {
  for (const child of await childrenOf(directory)) await removeTree(join(directory, child), deadline);
  for (;;) {
    try {
      return await rmdir(directory);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      if (!isErrno(error, 'EBUSY') || Date.now() >= deadline) throw fromErrno(`cgroup "${directory}"`, error);
      await delay(RETRY_DELAY_MS);
    }
  }
}

async function childrenOf(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    // Version 1 says ENODEV for a group that is just going away.
    if (isErrno(error, 'ENOENT', 'ENODEV')) return [];
    throw fromErrno(`cgroup "${directory}"`, error);
  }
}

function fileSystemType(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
