import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessInfo {
  pid: number;
  parentPid: number;
  /** In clock ticks since boot; with the pid it names a process for good, since pids are used again. */
  startTime: string;
  args: string[];
}

/** Undefined when there is no such process, or it is a zombie. */
export function processInfo(pid: number): ProcessInfo | undefined {
  const stat = readProc(pid, 'stat');
  const args = readProc(pid, 'cmdline');
  if (stat === undefined || args === undefined) return undefined;
  // proc(5): pid (name) state ppid … starttime; the name may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parentPid] = fields;
  const startTime = fields[19];
  if (state === 'Z' || startTime === undefined) return undefined;
  return { pid, parentPid: Number(parentPid), startTime, args: args.split('\0') };
}

export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== undefined);
}

/** Whether the process was started with this `NAME=value`. Programs that overwrite their environment have lost it. */
export function wasStartedWith(pid: number, variable: string): boolean {
  return readProc(pid, 'environ')?.split('\0').includes(variable) ?? false;
}

/** Every process below one of `roots`, those included. */
export function withDescendants(processes: ProcessInfo[], roots: ProcessInfo[]): ProcessInfo[] {
  const found = new Map(roots.map((root) => [root.pid, root]));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const info of processes) if (found.has(info.parentPid)) found.set(info.pid, info);
  }
  return [...found.values()];
}

export function isAlive(info: ProcessInfo): boolean {
  return processInfo(info.pid)?.startTime === info.startTime;
}

/** Sends a signal; a process that has ended is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** `undefined` when the process ended meanwhile. */
function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
