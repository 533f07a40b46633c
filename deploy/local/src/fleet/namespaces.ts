import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { unavailable } from '@longshore/errors';
import { ManagedProcess } from '../managed-process.ts';
import type { Toolchain } from '../toolchain.ts';

const READY_TIMEOUT_MS = 30_000;
const READY = 'namespaces are ready';

export type NamespaceKind = 'net' | 'mount' | 'uts';

export interface NamespacesOptions {
  /** For messages. */
  name: string;
  kinds: readonly NamespaceKind[];
  /** Shell commands that furnish them, run inside; `$1`, `$2`, … are `args`. */
  script?: string;
  args?: readonly string[];
  logPath: string;
}

/**
 * Namespaces of the kernel, held open by a process that does nothing: they have no name and no file, so they are gone
 * when their processes are, with the links and mounts inside, however everything ended.
 */
export class Namespaces implements AsyncDisposable {
  readonly #holder: ManagedProcess;
  readonly #kinds: readonly NamespaceKind[];
  readonly #tools: Toolchain;

  private constructor(holder: ManagedProcess, kinds: readonly NamespaceKind[], tools: Toolchain) {
    this.#holder = holder;
    this.#kinds = kinds;
    this.#tools = tools;
  }

  /** Resolves when they are furnished; throws Unavailable with what the script said. */
  static async create(options: NamespacesOptions, tools: Toolchain): Promise<Namespaces> {
    const { name, kinds, script = '', args = [], logPath } = options;
    const ready = Promise.withResolvers<void>();
    const furnish = `set -e\n${script}\necho '${READY}'\nexec sleep infinity`;
    const flags = kinds.map((kind) => `--${kind}`);
    const holder = new ManagedProcess({
      name: `the namespaces of ${name}`,
      command: 'unshare',
      args: [...flags, '--propagation', 'private', '--', 'sh', '-c', furnish, 'sh', ...args],
      env: tools.env,
      logPath,
      onOutput: (chunk) => {
        if (chunk.includes(READY)) ready.resolve();
      },
    });
    try {
      await holder.whenReady(() => ready.promise, READY_TIMEOUT_MS);
    } catch (error) {
      await holder.close();
      throw error;
    }
    return new Namespaces(holder, kinds, tools);
  }

  /** Of the process that holds them: `/proc/<pid>/ns`, `/proc/<pid>/root`. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** The command that runs `words` inside. The cgroup hierarchies stay in sight, as `ip netns exec` would not leave them. */
  enter(words: readonly string[]): string[] {
    return [
      'nsenter',
      '--target',
      String(this.pid),
      ...this.#kinds.map((kind) => `--${kind}`),
      '--',
      ...words,
    ];
  }

  /** Runs a command inside to its end and answers its stdout. Throws Unavailable with what it said. */
  async run(words: readonly string[], stdin = ''): Promise<string> {
    const [command = '', ...args] = this.enter(words);
    const running = promisify(execFile)(command, args, { env: this.#tools.env });
    running.child.stdin?.on('error', () => {}).end(stdin);
    try {
      return (await running).stdout;
    } catch (error) {
      const { stderr } = error as { stderr?: string };
      throw unavailable(`"${words.join(' ')}" inside ${this.#holder.name}: ${stderr?.trim()}`, {
        cause: error,
      });
    }
  }

  /** Several of iproute2's commands at once. */
  async ip(...lines: string[]): Promise<void> {
    await this.run([this.#tools.binaries.ip, '-batch', '-'], `${lines.join('\n')}\n`);
  }

  close(): Promise<void> {
    return this.#holder.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
