import { existsSync, readFileSync } from 'node:fs';

/** An orphan that is dead is a zombie for as long as pid 1 likes. */
export function isRunning(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') X';
  return !/\) [ZX]/.test(stat);
}
