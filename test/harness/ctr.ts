import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface CtrResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CtrOptions {
  stdin?: string;
  /** Runs it on a pseudo-terminal of its own; stdout and stderr are one then. */
  tty?: boolean;
  namespace?: string;
  timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

/** Debian's ctr, unchanged, against one containerd socket. */
export class Ctr {
  readonly #socket: string;
  readonly #enter: (words: string[]) => string[];

  /** `enter` makes the command that runs it in a node's namespaces. */
  constructor(socket: string, enter: (words: string[]) => string[] = (words) => words) {
    this.#socket = socket;
    this.#enter = enter;
  }

  /** Runs it to its end; does not judge its exit code. */
  async run(args: string[], options: CtrOptions = {}): Promise<CtrResult> {
    const child = this.start(args, options);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT_MS);
    // It may end before it has read anything, as when a call is refused.
    child.stdin!.on('error', () => undefined).end(options.stdin ?? '');
    const exited = new Promise<number>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? (signal ? 128 : -1))),
    );
    const [stdout, stderr, code] = await Promise.all([text(child.stdout!), text(child.stderr!), exited]);
    clearTimeout(timer);
    return { code, stdout, stderr };
  }

  /** Runs it and answers its stdout; throws with what it said when it fails. */
  async ok(args: string[], options: CtrOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`ctr ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Ends every task and removes every container, in all namespaces. */
  async removeContainers(): Promise<void> {
    const lines = async (args: string[], namespace = 'default') =>
      (await this.ok(args, { namespace })).split('\n').filter(Boolean);
    for (const namespace of await lines(['namespaces', 'ls', '-q'])) {
      for (const id of await lines(['task', 'ls', '-q'], namespace)) {
        await this.run(['task', 'rm', '-f', id], { namespace });
      }
      for (const id of await lines(['container', 'ls', '-q'], namespace)) {
        await this.run(['container', 'rm', id], { namespace });
      }
    }
  }

  /** Starts it with pipes, for what goes on. */
  start(args: string[], { tty = false, namespace = 'default' }: CtrOptions = {}): ChildProcess {
    const words = this.#enter(['ctr', '-a', this.#socket, '-n', namespace, ...args]);
    const [command = '', ...rest] = words;
    if (!tty) return spawn(command, rest, { stdio: 'pipe' });
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    return spawn('script', ['-qec', quoted, '/dev/null'], { stdio: 'pipe' });
  }
}
