import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { type Host, run } from '@longshore/cli/run';

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** One command line that goes on. */
export interface CliRun {
  /** So far. */
  readonly stdout: string;
  /** As ctrl-C does. */
  interrupt(): void;
  readonly ended: Promise<CliResult>;
}

/** The `longshore` command in this process: all of it but its process's own start. */
export class Cli {
  readonly #env: Record<string, string>;

  /** `env` is all that commands see of the environment. */
  constructor(env: Record<string, string>) {
    this.#env = env;
  }

  /** Runs a command to its end; does not judge its exit code. */
  run(...argv: string[]): Promise<CliResult> {
    return this.start(argv).ended;
  }

  /** Runs a command and answers its output; throws with what it said when it fails. */
  async ok(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`longshore ${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async json<T>(...argv: string[]): Promise<T> {
    return JSON.parse(await this.ok(...argv, '-o', 'json')) as T;
  }

  start(argv: readonly string[], stdin = ''): CliRun {
    const written = { stdout: '', stderr: '' };
    const sink = (name: 'stdout' | 'stderr') => ({
      write(data: string | Uint8Array, ...rest: unknown[]) {
        written[name] += Buffer.from(data as string).toString();
        const done = rest.at(-1);
        if (typeof done === 'function') done();
        return true;
      },
    });
    const signals = new EventEmitter();
    const host: Host = {
      env: this.#env,
      stdin: Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]) as unknown as ReadStream,
      stdout: sink('stdout') as unknown as Host['stdout'],
      stderr: sink('stderr') as unknown as Host['stderr'],
      signals,
    };
    const ended = run(argv, host).then((code) => ({ code, ...written }));
    return {
      get stdout() {
        return written.stdout;
      },
      interrupt: () => void signals.emit('SIGINT', 'SIGINT'),
      ended,
    };
  }
}
