import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { promisify } from 'node:util';

export interface MountPoint {
  path: string;
  /** e.g. `overlay`. */
  type: string;
}

/** Mounts below `dir`, outer ones first; what is mounted on `dir` itself is its owner's affair. */
export function mountsBelow(dir: string): MountPoint[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(parseLine)
    .filter(({ path }) => path.startsWith(`${dir}${sep}`));
}

/** Detaches mounts, the inner ones first. */
export async function unmount(mounts: readonly MountPoint[]): Promise<void> {
  // One that is gone already, with the mount that it was on, is no reason to leave the others.
  const unmounts = mounts.toReversed().map(({ path }) => promisify(execFile)('umount', ['--lazy', path]));
  await Promise.allSettled(unmounts);
}

/** Source: proc(5): id parent major:minor root mount-point options … - type source options; octal escapes in paths. */
function parseLine(line: string): MountPoint {
  const [mount = '', source = ''] = line.split(' - ');
  const path = (mount.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return { path, type: source.split(' ')[0] ?? '' };
}
