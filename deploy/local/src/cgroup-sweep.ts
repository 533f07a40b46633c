import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { signalProcess } from './proc-table.ts';
import { until } from './until.ts';

const KILL_TIMEOUT_MS = 2000;

/** Kills all that runs in a cgroup and below it, in every hierarchy, and removes it. `path` as runc takes it: `/name`. */
export async function removeCgroup(path: string): Promise<void> {
  const dirs = hierarchies()
    .map((mountPoint) => join(mountPoint, path))
    .filter((dir) => existsSync(dir));
  for (const pid of dirs.flatMap(processesBelow)) signalProcess(pid, 'SIGKILL');
  await until(() => dirs.flatMap(processesBelow).length === 0, KILL_TIMEOUT_MS);
  for (const dir of dirs) removeTree(dir);
}

function processesBelow(dir: string): number[] {
  const below = children(dir).flatMap(processesBelow);
  return [...below, ...readLines(join(dir, 'cgroup.procs')).map(Number)];
}

/** Leaves what is not empty: a process that cannot be killed is better seen than hidden by an error here. */
function removeTree(dir: string): void {
  for (const child of children(dir)) removeTree(child);
  try {
    rmdirSync(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EBUSY') throw error;
  }
}

function children(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const entries = readdirSync(dir, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name));
}

/** Source: proc(5), mountinfo: id parent major:minor root mount-point options … - type source options. */
function hierarchies(): string[] {
  return readLines('/proc/self/mountinfo').flatMap((line) => {
    const [mount = '', source = ''] = line.split(' - ');
    const mountPoint = mount.split(' ')[4];
    return /^cgroup2? /.test(source) && mountPoint !== undefined ? [mountPoint] : [];
  });
}

/** Empty for a file that has gone. */
function readLines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}
