import { readFileSync } from 'node:fs';

/** Resident set of a process in megabytes (10^6 bytes), from /proc. */
export function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  if (!match) throw new Error(`process ${pid}: no VmRSS in its status`);
  return (Number(match[1]) * 1024) / 1e6;
}
