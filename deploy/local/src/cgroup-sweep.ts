import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where a controller's hierarchy is mounted, with the part of it that is. */
interface Hierarchy {
  /** e.g. `memory`, `name=systemd`; `` for cgroup v2. */
  controllers: string[];
  mountPoint: string;
}

/** The directories of a process's cgroups, in every hierarchy, but for the root of each. */
export function cgroupsOf(pid: number): string[] {
  const hierarchies = listHierarchies();
  return readLines(`/proc/${pid}/cgroup`).flatMap((line) => {
    // cgroups(7): hierarchy id, controllers, path; the path may hold colons.
    const [, controllers = '', ...rest] = line.split(':');
    const path = rest.join(':');
    const hierarchy = hierarchies.find((one) => controllers.split(',').every((name) => one.controllers.includes(name)));
    return hierarchy === undefined || path === '/' || path === '' ? [] : [join(hierarchy.mountPoint, path)];
  });
}

/** Removes those of the cgroups that are ours and empty, and then the parents that were made for them. */
export function removeCgroups(dirs: string[]): void {
  for (const dir of new Set(dirs)) {
    let path = dir;
    while (path.includes('longshore') && removeEmpty(path)) path = dirname(path);
  }
}

/** Children first; false when something still runs in one. */
function removeEmpty(dir: string): boolean {
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) removeEmpty(join(dir, entry.name));
    }
    rmdirSync(dir);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    return false;
  }
}

/** Source: proc(5), mountinfo: … root mount-point options [optional…] - type source super-options. */
function listHierarchies(): Hierarchy[] {
  return readLines('/proc/self/mountinfo').flatMap((line) => {
    const [mount = '', source = ''] = line.split(' - ');
    const [type, , options = ''] = source.split(' ');
    const mountPoint = mount.split(' ')[4] ?? '';
    if (type === 'cgroup2') return [{ controllers: [''], mountPoint }];
    if (type === 'cgroup') return [{ controllers: options.split(','), mountPoint }];
    return [];
  });
}

/** Empty when the process has ended. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
