import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '@longshore/local';
import type { Answer, Question } from './agents-main.ts';

const PROGRAM = fileURLToPath(new URL('./agents-main.ts', import.meta.url));

/** The load generator as a process of its own, so that its CPU time can be told apart. */
export class Agents implements AsyncDisposable {
  readonly #process: ManagedProcess;

  /** `state` is where the services' sockets are. */
  constructor(state: string, logPath: string) {
    this.#process = new ManagedProcess({
      name: 'agents',
      command: process.execPath,
      args: [PROGRAM, state],
      env: process.env,
      logPath,
      withChannel: true,
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Has at least so many agents, and answers what they did since the last question. Throws when the process has ended,
   * or when a call of any agent has failed.
   */
  async have(agents: number): Promise<Answer> {
    const { child } = this.#process;
    const answered = new Promise<Answer>((resolve) =>
      child.once('message', resolve as (value: unknown) => void),
    );
    child.send({ agents } satisfies Question);
    const ended = this.#process.exited.then(() => {
      throw new Error('the load generator has ended');
    });
    const answer = await Promise.race([answered, ended]);
    if (answer.failures.length > 0) {
      throw new Error(`${answer.failures.length} calls of agents failed, first: ${answer.failures[0]}`);
    }
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
