import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '../managed-process.ts';
import type { RunningUnit, Unit } from '../supervisor.ts';
import type { Toolchain } from '../toolchain.ts';
import type { Namespaces } from './namespaces.ts';
import type { Route } from './relay.ts';

const PROGRAM = fileURLToPath(new URL('./relay-main.ts', import.meta.url));
const READY_TIMEOUT_MS = 20_000;

/** Relays inside a namespace, as a process of its own: sockets belong to the namespace of who made them. */
export class RelayProcess {
  readonly unit: Unit;
  #process: ManagedProcess | undefined;
  #delayMs = 0;

  constructor(name: string, inside: Namespaces, routes: readonly Route[], logPath: string, tools: Toolchain) {
    const [command = '', ...args] = inside.enter(['node', PROGRAM, JSON.stringify(routes)]);
    this.unit = {
      name,
      start: async (stop): Promise<RunningUnit> => {
        const options = { name, command, args, env: tools.env, logPath, withChannel: true };
        const relaying = new ManagedProcess(options);
        const close = () => relaying.close();
        try {
          const ready = once(relaying.child, 'message');
          await relaying.whenReady(() => ready, READY_TIMEOUT_MS, stop);
          this.#process = relaying;
          if (this.#delayMs > 0) await this.setDelay(this.#delayMs);
        } catch (error) {
          await close();
          throw error;
        }
        return { process: relaying, close };
      },
    };
  }

  /** Resolves when what passes from then on takes this long, each way. */
  async setDelay(delayMs: number): Promise<void> {
    this.#delayMs = delayMs;
    const child = this.#process?.child;
    if (child === undefined || !child.connected) return;
    const done = once(child, 'message');
    child.send({ delayMs });
    await done;
  }
}
