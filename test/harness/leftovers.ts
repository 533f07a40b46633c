import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from './wait-until.ts';

export interface Owned {
  root: string;
  state: string;
  cgroupParent: string;
}

/** How long what is ending may take to be gone. */
const SETTLE_MS = 10_000;

/** Fails with a list of what an ended stack has left on the machine. */
export async function expectNothingLeft(owned: Owned): Promise<void> {
  let left: string[] = [];
  const gone = await waitUntil(() => {
    left = leftovers(owned);
    return left.length === 0;
  }, SETTLE_MS);
  if (!gone) throw new Error(`left behind:\n  ${left.join('\n  ')}`);
}

/** Shims and containers, mounts and cgroups of a stack whose services have ended; its stores may still run. */
export function leftovers({ root, state, cgroupParent }: Owned): string[] {
  return [...processesOf(state), ...mountsBelow([root, state]), ...cgroupsOf(cgroupParent)];
}

/** Mount points below the directories, of those in a file as /proc has it for each mount namespace. */
export function mountsBelow(directories: string[], mountInfo = '/proc/self/mountinfo'): string[] {
  return readFileSync(mountInfo, 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => directories.some((directory) => path.startsWith(directory)))
    .map((path) => `mount ${path}`);
}

/** Cgroups of a parent, in every hierarchy of this machine. */
export function cgroupsOf(parent: string): string[] {
  const base = '/sys/fs/cgroup';
  const hierarchies = existsSync(join(base, 'cgroup.controllers')) ? [''] : readdirSync(base);
  return hierarchies
    .map((hierarchy) => join(base, hierarchy, parent))
    .filter((path) => existsSync(path))
    .map((path) => `cgroup ${path}`);
}

/** Processes that name the directory in their arguments, their environment or their mounts. */
export function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = readProc(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      const about =
        command + readProc(`/proc/${pid}/environ`) + readProc(`/proc/${pid}/mountinfo`).split('\n')[0];
      return about.includes(directory) ? [`process ${pid}: ${command.slice(0, 120)}`] : [];
    });
}

/** A file of /proc; empty when its process has ended. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
