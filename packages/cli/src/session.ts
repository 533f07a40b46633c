import type { Client } from '@longshore/client';
import type { Command } from 'commander';
import type { Calls } from './calls.ts';
import { ExitCode, exitCodeOf, exitCodeOfSignal } from './exit-code.ts';
import { type GlobalOptions, optionsOf } from './global-options.ts';
import type { Host } from './host.ts';
import { reportError } from './report-error.ts';
import { type Settings, settingsOf } from './settings/settings.ts';

/** One run of one command: what it was told, whom it speaks to, and how it ends. */
export class Session {
  readonly host: Host;
  /** What the command ends with when it does not throw. */
  exitCode: number = ExitCode.Ok;
  /** Reads the file of a command of the program, once; for all others nothing. */
  loadCommand: (command: Command) => Promise<void> = async () => undefined;
  #options: GlobalOptions = {};
  #settings: Promise<Settings> | undefined;
  #client: Promise<Client> | undefined;
  #calls: Promise<Calls & Disposable> | undefined;
  #interrupted: AbortController | undefined;
  readonly #stops: (() => void)[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  /** Wraps an action of commander's: `action` gets the arguments and, last, the options. */
  action<A extends unknown[]>(action: (...args: A) => void | Promise<void>) {
    return async (...given: unknown[]): Promise<void> => {
      const command = given.at(-1) as Command;
      this.#options = optionsOf(command);
      await action(...([...given.slice(0, -2), this.#options] as A));
    };
  }

  /** Where to connect to, as whom, and the scope; from options, environment and the file of contexts, in this order. */
  settings(): Promise<Settings> {
    this.#settings ??= settingsOf(this.#options, this.host.env);
    return this.#settings;
  }

  /** Typed calls, for commands that need no more: a whole client takes as long again to load. Connects with the first one. */
  calls(): Promise<Calls> {
    this.#calls ??= this.#openCalls();
    return this.#calls;
  }

  /** Connects with its first call. */
  client(): Promise<Client> {
    this.#client ??= this.#open();
    return this.#client;
  }

  /**
   * Does the same for each of the names, in turn, prints those that went well, and says of the others what is wrong; the command then ends
   * with the code of the first that failed.
   */
  async each(names: readonly string[], act: (name: string) => Promise<unknown>): Promise<void> {
    for (const name of new Set(names)) {
      try {
        const answer = await act(name);
        if (answer !== SILENT) this.line(typeof answer === 'string' ? answer : name);
      } catch (error) {
        // Whoever has ended it knows.
        if (this.isInterrupted) return;
        reportError(error, this.host, this.#options.debug === true);
        if (this.exitCode === ExitCode.Ok) this.exitCode = exitCodeOf(error);
      }
    }
  }

  /** Standard output: what was asked for. */
  line(text: string): void {
    this.host.stdout.write(`${text}\n`);
  }

  /** Bytes as they are; resolves when more may follow, so that a slow reader is waited for. */
  write(data: Uint8Array, to: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.host[to].write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Standard error: what a script does not read. */
  note(text: string): void {
    this.host.stderr.write(`${text}\n`);
  }

  /**
   * Aborted by ctrl-C, or when the command is told to end; for commands that go on until then. Without it the first signal ends the
   * process.
   */
  get interrupted(): AbortSignal {
    if (this.#interrupted) return this.#interrupted.signal;
    const controller = new AbortController();
    this.#interrupted = controller;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const interrupt = () => {
        this.exitCode = exitCodeOfSignal(signal);
        controller.abort();
      };
      this.host.signals.on(signal, interrupt);
      this.#stops.push(() => this.host.signals.off(signal, interrupt));
    }
    return controller.signal;
  }

  /** What fails from then on fails for this reason. */
  get isInterrupted(): boolean {
    return this.#interrupted?.signal.aborted === true;
  }

  /** From here on signals are for what runs: {@link interrupted} hears of none any more. */
  keepSignals(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    client?.close();
    const calls = await this.#calls?.catch(() => undefined);
    calls?.[Symbol.dispose]();
  }

  async #openCalls(): Promise<Calls & Disposable> {
    const [{ openConnection }, settings] = await Promise.all([
      import('./open-connection.ts'),
      this.settings(),
    ]);
    return openConnection(settings);
  }

  async #open(): Promise<Client> {
    const [{ openClient }, settings] = await Promise.all([import('./open-client.ts'), this.settings()]);
    return openClient(settings);
  }
}

/** From an action of {@link Session.each} that has said by itself what there is to say. */
export const SILENT = Symbol('silent');
