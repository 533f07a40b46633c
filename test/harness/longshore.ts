import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const BINARY = fileURLToPath(new URL('../../packages/cli/bin/longshore.mjs', import.meta.url));
const TIMEOUT_MS = 60_000;

export interface LongshoreResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** Our own command, as its users run it, against one address. */
export class Longshore {
  readonly #env: NodeJS.ProcessEnv;

  constructor(address: string, home: string, env: NodeJS.ProcessEnv = {}) {
    this.#env = {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      LONGSHORE_ADDRESS: address,
      TERM: 'xterm',
      ...env,
    };
  }

  /** Runs it to its end; does not judge its exit code. */
  async run(args: readonly string[], stdin = ''): Promise<LongshoreResult> {
    const child = this.start(args);
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    child.stdin.on('error', () => undefined).end(stdin);
    const exited = exitOf(child);
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
    clearTimeout(timer);
    return { code, stdout: out, stderr: err };
  }

  /** Runs it and answers its standard output; throws with what it said when it fails. */
  async ok(args: readonly string[], stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, stdin);
    if (code !== 0) throw new Error(`longshore ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Starts it with pipes, for what goes on. */
  start(args: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn(process.execPath, [BINARY, ...args], { env: this.#env, stdio: 'pipe' });
  }

  /** Starts it on a pseudo-terminal of this size. */
  terminal(args: readonly string[], { columns, rows }: TerminalSize): Terminal {
    const quoted = [process.execPath, BINARY, ...args].map(quote).join(' ');
    const script = `stty cols ${columns} rows ${rows}; exec ${quoted}`;
    return new Terminal(
      spawn('script', ['-qec', `sh -c ${quote(script)}`, '/dev/null'], { env: this.#env, stdio: 'pipe' }),
    );
  }
}

/** A person before a terminal. */
export class Terminal {
  /** How it ends. */
  readonly exit: Promise<number>;
  readonly #child: ChildProcessWithoutNullStreams;
  #seen = '';

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.exit = exitOf(child);
    child.stdout.setEncoding('utf8').on('data', (data: string) => {
      this.#seen += data;
    });
    child.stdin.on('error', () => undefined);
  }

  /** All that was shown so far. */
  get seen(): string {
    return this.#seen;
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}

function exitOf(child: ChildProcessWithoutNullStreams): Promise<number> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal ? 128 : -1))));
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
