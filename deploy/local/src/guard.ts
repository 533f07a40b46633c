import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { mountsBelow } from './mount-sweep.ts';
import { processInfo } from './proc-table.ts';

/** What a guardian is told, a JSON object a line. */
export type GuardOrder =
  /** Every process that was started with this `NAME=value`. */
  | { marker: string }
  /** A process that may overwrite its environment, as Postgres does. */
  | { pid: number; startTime: string }
  /** A directory of ours: shims that report to a socket in it, and what is mounted below it but for `keep`. */
  | { tree: string; keep: string[] }
  /** A cgroup, as runc names it, with all that runs in it. */
  | { cgroup: string }
  /** A directory to delete after all that. */
  | { remove: string };

/**
 * Waits, as a shell of 1 MB, until the pipe from its owner closes, which the kernel does however the owner ends; only
 * then becomes a program that cleans up. In its own session, and deaf to signals: it must outlive its owner.
 */
const WAIT_THEN_CLEAN = `trap '' INT TERM HUP; orders=$(cat); printf '%s\\n' "$orders" | exec "$0" "$1"`;
const GUARDIAN = fileURLToPath(new URL('./guardian.ts', import.meta.url));
const MARKER = 'LONGSHORE_GUARD';

/** Sees to it that what this process starts does not outlive it, even when it is killed. One for a whole process. */
export class Guard {
  readonly #id = randomUUID();
  readonly #guardian: ChildProcess;

  constructor() {
    this.#guardian = spawn('sh', ['-c', WAIT_THEN_CLEAN, process.execPath, GUARDIAN], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
      // Another's guardian, that of who started us, must not take ours for a process to end.
      env: { ...process.env, [MARKER]: undefined },
    });
    // Neither the guardian nor our pipe to it is a reason to stay alive.
    this.#guardian.unref();
    const pipe = this.#guardian.stdin;
    if (pipe !== null && 'unref' in pipe && typeof pipe.unref === 'function') pipe.unref();
    pipe?.on('error', () => this.#guardian.removeAllListeners());
    this.#order({ marker: `${MARKER}=${this.#id}` });
  }

  /** What marks a process, and all that it starts, as ours. */
  get environment(): Record<string, string> {
    return { [MARKER]: this.#id };
  }

  adopt(pid: number): void {
    const info = processInfo(pid);
    if (info !== undefined) this.#order({ pid, startTime: info.startTime });
  }

  /** Ends, with us, the shims that report to a socket below `dir`, their containers, and mounts made below it from now. */
  protect(dir: string): void {
    this.#order({ tree: dir, keep: mountsBelow(dir).map(({ path }) => path) });
  }

  /** Ends, with us, what runs in a cgroup, and removes it. */
  protectCgroup(path: string): void {
    this.#order({ cgroup: path });
  }

  /** Deletes a directory with us, for what lives in the temporary directory. */
  removeWithUs(dir: string): void {
    this.#order({ remove: dir });
  }

  #order(order: GuardOrder): void {
    this.#guardian.stdin?.write(`${JSON.stringify(order)}\n`);
  }
}

let own: Guard | undefined;

/** This process's guard; the first call starts it. */
export function guard(): Guard {
  own ??= new Guard();
  return own;
}
