import { readFileSync, rmSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { isAlive, listProcesses, type ProcessInfo, signalProcess, withDescendants } from './proc-table.ts';
import { until } from './until.ts';

/** Together with what follows, a clean-up must end within the 10 s in which everything has to be gone. */
const TERM_TIMEOUT_MS = 1500;
const KILL_TIMEOUT_MS = 2000;

/** SIGTERM, and SIGKILL for what is still there after 1.5 s. A Postgres server gets SIGINT: its way to end quickly. */
export async function endProcesses(processes: ProcessInfo[]): Promise<void> {
  for (const info of processes) signalProcess(info.pid, isPostgres(info) ? 'SIGINT' : 'SIGTERM');
  const areGone = () => processes.every((info) => !isAlive(info));
  if (await until(areGone, TERM_TIMEOUT_MS)) return;
  for (const info of processes.filter(isAlive)) signalProcess(info.pid, 'SIGKILL');
  await until(areGone, KILL_TIMEOUT_MS);
}

/**
 * Kills the shims that report to one of `trees`, or to a socket below it, with all that runs under them, and removes the sockets
 * that this leaves. Nobody is told: for when no agent is there to do it in order.
 */
export async function endContainers(trees: string[]): Promise<void> {
  const processes = listProcesses();
  const shims = processes.filter(
    (info) => isShim(info) && trees.some((tree) => isBelow(addressOf(info), tree)),
  );
  const sockets = shims.flatMap(shimSocket);
  const all = withDescendants(processes, shims);
  for (const info of all) signalProcess(info.pid, 'SIGKILL');
  await until(() => all.every((info) => !isAlive(info)), KILL_TIMEOUT_MS);
  for (const socket of sockets) rmSync(socket, { force: true });
}

export function isShim(info: ProcessInfo): boolean {
  return basename(info.args[0] ?? '').startsWith('containerd-shim');
}

function isPostgres(info: ProcessInfo): boolean {
  return basename(info.args[0] ?? '') === 'postgres';
}

/** A shim is told with `-address` which socket it reports to. Source: containerd pkg/shim, flags. */
function addressOf(shim: ProcessInfo): string {
  return shim.args[shim.args.indexOf('-address') + 1] ?? '';
}

/** A shim works in its bundle, and writes the address of its own socket there. */
function shimSocket(shim: ProcessInfo): string[] {
  try {
    const address = readFileSync(join(`/proc/${shim.pid}/cwd`, 'address'), 'utf8').trim();
    return address.startsWith('unix://') ? [address.slice('unix://'.length)] : [];
  } catch {
    return [];
  }
}

function isBelow(path: string, dir: string): boolean {
  return path === dir || path.startsWith(`${dir}${sep}`);
}
