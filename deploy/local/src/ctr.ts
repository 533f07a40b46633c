import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { LongshoreError } from '@longshore/errors';
import { guard } from './guard.ts';
import type { Toolchain } from './toolchain.ts';

/** Lines of the end of stderr that explain a failure. */
const EXPLAINING_LINES = 5;

export interface CtrOptions {
  signal?: AbortSignal;
  /** Sees stdout, and stderr if `withErrors`, line by line as it comes. */
  onLine?: (line: string) => void;
  withErrors?: boolean;
}

/** Containerd's own client, on the node socket. */
export class Ctr {
  readonly #tools: Toolchain;
  readonly #socket: string;

  constructor(tools: Toolchain, socket: string) {
    this.#tools = tools;
    this.#socket = socket;
  }

  /** Resolves with its exit code and stdout; an abort kills it. */
  async run(
    args: readonly string[],
    options: CtrOptions = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const { signal, onLine, withErrors = false } = options;
    const child = spawn(this.#tools.binaries.ctr, ['-a', this.#socket, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...this.#tools.env, ...guard().environment },
      detached: true,
      killSignal: 'SIGKILL',
      ...(signal === undefined ? {} : { signal }),
    });
    const stdout: string[] = [];
    const stderr: string[] = [];
    createInterface(child.stdout).on('line', (line) => {
      stdout.push(line);
      onLine?.(line);
    });
    createInterface(child.stderr).on('line', (line) => {
      stderr.push(line);
      if (withErrors) onLine?.(line);
    });
    const [code] = await once(child, 'close');
    return { code: Number(code ?? 1), stdout: stdout.join('\n'), stderr: stderr.join('\n') };
  }

  /** As `run`, but throws what ctr said when it failed. */
  async must(args: readonly string[], options: CtrOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code === 0) return stdout;
    const why = stderr.split('\n').slice(-EXPLAINING_LINES).join('\n');
    throw new LongshoreError('Unknown', `ctr ${args.join(' ')}: ${why}`);
  }

  /** A line to paste into a shell. */
  commandLine(args: readonly string[]): string {
    return [this.#tools.binaries.ctr, '-a', this.#socket, ...args].map(quote).join(' ');
  }
}

/** For a POSIX shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) && !word.startsWith('~')
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
