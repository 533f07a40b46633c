import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from './managed-process.ts';
import type { Unit } from './supervisor.ts';

const SERVICES_DIR = fileURLToPath(new URL('../../../services', import.meta.url));
/** A young generation of 16 MB is for programs that make much garbage at once; it costs each service some 30 MB. */
const NODE_FLAGS = ['--max-semi-space-size=4'];
const READY_TIMEOUT_MS = 60_000;
/** Calls in flight may take this long when a service is stopped; the rest of its end has a second more. */
export const SHUTDOWN_TIMEOUT_MS = 1500;
const ENDING = [{ signal: 'SIGTERM', timeoutMs: SHUTDOWN_TIMEOUT_MS + 1000 }] as const;

export interface ServiceUnitOptions {
  /** For messages and for the supervisor, e.g. `content-2`. */
  name: string;
  /** Its folder, e.g. `content`. */
  service: string;
  /** The whole environment. */
  env: NodeJS.ProcessEnv;
  logPath: string;
  /** Makes the command that runs it somewhere else, such as in a network namespace. */
  enter?: (words: string[]) => string[];
}

/** The program of a service, with further arguments for it. */
export function serviceCommand(service: string, args: readonly string[] = []): string[] {
  return ['node', ...NODE_FLAGS, join(SERVICES_DIR, service, 'src/main.ts'), ...args];
}

/** A service as a process, which is ready when it says so. */
export function serviceUnit({
  name,
  service,
  env,
  logPath,
  enter = (words) => words,
}: ServiceUnitOptions): Unit {
  const [command = '', ...args] = enter(serviceCommand(service));
  // Threads come and go; with an arena each, what they have freed stays with the process.
  const wholeEnv = { MALLOC_ARENA_MAX: '2', ...env };
  return {
    name,
    start: async (stop) => {
      const process = new ManagedProcess(
        {
          name,
          command,
          args,
          env: wholeEnv,
          logPath,
          withChannel: true,
          cwd: join(SERVICES_DIR, service),
        },
        ENDING,
      );
      const close = () => process.close();
      const saysReady = new Promise((resolve) => process.child.once('message', resolve));
      try {
        await process.whenReady(() => saysReady, READY_TIMEOUT_MS, stop);
      } catch (error) {
        await close();
        throw error;
      }
      return { process, close };
    },
  };
}
