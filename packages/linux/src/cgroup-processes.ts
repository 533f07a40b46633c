import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { failedPrecondition } from '@longshore/errors';
import { cgroupHierarchies, checkCgroupPath } from './cgroup.ts';
import { isErrno } from './errno.ts';

/**
 * absent: in no hierarchy. empty: it, and what is below it, holds no process. frozen: its processes are, or are about to
 * be, stopped by the freezer; no signal but version 2's SIGKILL reaches them. running: anything else.
 */
export type CgroupState = 'absent' | 'empty' | 'running' | 'frozen';

/** Of a control group and those below it; `path` is as for {@link removeCgroup}. */
export function cgroupState(path: string): CgroupState {
  const groups = groupsOf(path);
  if (groups.length === 0) return 'absent';
  if (groups.some(isFrozen)) return 'frozen';
  return pidsIn(groups).size === 0 ? 'empty' : 'running';
}

/** Lets the processes of a control group, and of those below it, run on. */
export function thawCgroup(path: string): void {
  for (const group of groupsOf(path)) thaw(group);
}

export interface KillCgroupOptions {
  /** How long the processes may take to end, in milliseconds. */
  timeoutMs?: number;
}

const KILL_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 10;

/**
 * Ends all processes of a control group and of those below it by SIGKILL, frozen ones too, and waits until they are gone.
 * FailedPrecondition when some are left after the timeout. This process itself is never killed. The groups stay.
 */
export async function killCgroup(path: string, options: KillCgroupOptions = {}): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? KILL_TIMEOUT_MS);
  for (;;) {
    const groups = groupsOf(path);
    const pids = [...pidsIn(groups)].filter((pid) => pid !== process.pid);
    if (pids.length === 0) return;
    // Before they are thawed, so that none of them runs on; again each time, for what they forked.
    for (const pid of pids) kill(pid);
    for (const group of groups) thaw(group);
    if (Date.now() >= deadline) throw failedPrecondition(`cgroup "${path}" still holds processes ${pids}`);
    await delay(RETRY_DELAY_MS);
  }
}

/** The directories of the group and of those below it, in every hierarchy, parents first. */
function groupsOf(path: string): string[] {
  checkCgroupPath(path);
  // They stay for as long as the host runs, and its mounts are many to read.
  hierarchies ??= cgroupHierarchies();
  return hierarchies.flatMap((hierarchy) => treeOf(join(hierarchy, path)));
}

let hierarchies: string[] | undefined;

function treeOf(directory: string): string[] {
  const entries = or([], () => readdirSync(directory, { withFileTypes: true }));
  if (entries.length === 0) return [];
  const children = entries.filter((entry) => entry.isDirectory());
  return [directory, ...children.flatMap(({ name }) => treeOf(join(directory, name)))];
}

function pidsIn(groups: readonly string[]): Set<number> {
  const lines = groups.flatMap((group) => read(group, 'cgroup.procs').split('\n'));
  // 0: a process of another pid namespace, which cannot be named here.
  return new Set(lines.map(Number).filter((pid) => pid > 0));
}

function isFrozen(group: string): boolean {
  const state = read(group, 'freezer.state').trim();
  return state === 'FROZEN' || state === 'FREEZING' || read(group, 'cgroup.freeze').trim() === '1';
}

function thaw(group: string): void {
  for (const [name, thawed] of [
    ['freezer.state', 'THAWED'],
    ['cgroup.freeze', '0'],
  ] as const) {
    if (read(group, name) !== '') or(undefined, () => writeFileSync(join(group, name), thawed));
  }
}

function read(group: string, name: string): string {
  return or('', () => readFileSync(join(group, name), 'utf8'));
}

function kill(pid: number): void {
  or(undefined, () => process.kill(pid, 'SIGKILL'));
}

/** Groups, and processes, go away while one looks at them. Version 1 says ENODEV; a threaded group EOPNOTSUPP. */
function or<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ESRCH', 'EOPNOTSUPP', 'ENOTSUP')) return otherwise;
    throw error;
  }
}
