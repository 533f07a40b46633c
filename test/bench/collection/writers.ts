import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '@longshore/local';
import type { Answer } from './writers-main.ts';

const PROGRAM = fileURLToPath(new URL('./writers-main.ts', import.meta.url));

/** The load generator as a process of its own: what it measures is not held up by who measures. */
export class Writers implements AsyncDisposable {
  readonly #process: ManagedProcess;

  /** `state` is where the services' sockets are. */
  constructor(state: string, scope: { namespace: string; node: string }) {
    this.#process = new ManagedProcess({
      name: 'writers',
      command: process.execPath,
      args: [PROGRAM, state, scope.namespace, scope.node],
      env: process.env,
      logPath: `${state}/logs/writers.log`,
      withChannel: true,
    });
  }

  /** How long each call took since this was last asked, in milliseconds. Throws when one failed. */
  async take(): Promise<Answer['samples']> {
    const { child } = this.#process;
    const answered = new Promise<Answer>((resolve) =>
      child.once('message', resolve as (value: unknown) => void),
    );
    child.send({});
    const ended = this.#process.exited.then(() => {
      throw new Error('the load generator has ended');
    });
    const { samples, failures } = await Promise.race([answered, ended]);
    if (failures.length > 0) throw new Error(`${failures.length} calls failed, first: ${failures[0]}`);
    return samples;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
