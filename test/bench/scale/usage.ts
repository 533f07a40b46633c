import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which Linux has fixed for programs. */
const TICKS_PER_SECOND = 100;

/** What a process and its children have used until now. */
export interface Usage {
  cpuSeconds: number;
  /** Its share of what several processes map: Postgres' buffers count once. In 10^6 bytes. */
  megabytes: number;
}

/** Of a process and its children, those included that have ended. A process that goes meanwhile is left out. */
export function usageOf(pid: number): Usage {
  const children = childrenOf(pid);
  const own = ticksOf(pid, { withEnded: true }) ?? 0;
  const live = children.map((child) => ticksOf(child, { withEnded: false }) ?? 0);
  const kilobytes = [pid, ...children].map((each) => kilobytesOf(each) ?? 0);
  return {
    cpuSeconds: (own + sum(live)) / TICKS_PER_SECOND,
    megabytes: (sum(kilobytes) * 1024) / 1e6,
  };
}

/** Of a process alone, whatever it has started; 0 for one that is gone. */
export function ownCpuSeconds(pid: number): number {
  return (ticksOf(pid, { withEnded: false }) ?? 0) / TICKS_PER_SECOND;
}

function ticksOf(pid: number, { withEnded }: { withEnded: boolean }): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // proc(5): pid (name) state …; utime, stime, cutime and cstime are fields 14 to 17, the name may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return sum(fields.slice(11, withEnded ? 15 : 13).map(Number));
}

function kilobytesOf(pid: number): number | undefined {
  const match = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '');
  return match ? Number(match[1]) : undefined;
}

function childrenOf(pid: number): number[] {
  const lists = readdirSync(`/proc/${pid}/task`).map(
    (thread) => read(`/proc/${pid}/task/${thread}/children`) ?? '',
  );
  return lists
    .flatMap((list) => list.trim().split(' '))
    .filter((child) => child !== '')
    .map(Number);
}

/** Undefined when the process has ended meanwhile. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
