import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno, socketOwner } from '@longshore/linux';
import type { BootstrapResult } from './bootstrap-result.ts';
import type { Bundle } from './bundle.ts';

const UNIX = 'unix://';
const END_TIMEOUT_MS = 3_000;
const RETRY_DELAY_MS = 10;

/** The shim that serves an address; undefined when none does, or the address is none of this host's unix sockets. */
export async function shimPid({ address }: BootstrapResult): Promise<number | undefined> {
  if (address.startsWith(UNIX)) return await socketOwner(address.slice(UNIX.length));
  return address.includes('://') ? undefined : await socketOwner(`\0${address}`);
}

/**
 * Ends every process of a bundle's shim by SIGKILL and waits until they are gone: the shim, and a `start` or `delete` of it
 * that is still under way, which an earlier agent may have left behind. Answers false when some are left.
 */
export async function endShimProcesses(bundle: Bundle, timeoutMs = END_TIMEOUT_MS): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const pids = await shimProcesses(bundle);
    if (pids.length === 0) return true;
    for (const pid of pids) kill(pid);
    if (Date.now() >= deadline) return false;
    // A `start` may have left its shim behind just before it was killed.
    await delay(RETRY_DELAY_MS);
  }
}

/** Whoever serves the socket, and whoever was called as shims of this bundle are, in its directory. */
async function shimProcesses(bundle: Bundle): Promise<number[]> {
  const { bootstrap } = bundle;
  const owner = bootstrap && (await shimPid(bootstrap));
  const directory = realpathSync(bundle.path);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const called = processes.filter((name) => isCalledFor(name, bundle.id, directory));
  return [...new Set([...(owner ? [owner] : []), ...called.map(Number)])];
}

function isCalledFor(pid: string, id: string, directory: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`) !== directory) return false;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[words.indexOf('-id') + 1] === id;
  } catch (error) {
    // It has ended, or is a process of the kernel's.
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return false;
    throw error;
  }
}

/** A process, and not another that has its pid later. */
export interface ProcessIdentity {
  pid: number;
  /** When it was started, in the kernel's words. */
  started: string;
}

/** All processes below one, at this moment. */
export function descendants(pid: number): ProcessIdentity[] {
  const processes = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (look(Number(name)) ?? []) : [],
  );
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const below = (parent: number): ProcessIdentity[] =>
    (children.get(parent) ?? []).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

/** Ends a process by SIGKILL, if it is there yet. */
export function killSame({ pid, started }: ProcessIdentity): void {
  if (look(pid)?.started === started) kill(pid);
}

/** Undefined for a process that has ended. */
function look(pid: number): (ProcessIdentity & { parent: number }) | undefined {
  try {
    // The name, which comes before, may hold anything. Source: proc(5), fields 3, 4 and 22.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return { pid, parent: Number(fields[1]), started: fields[19]! };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
