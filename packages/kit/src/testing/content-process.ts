import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { scratchDirectory } from './scratch.ts';

const MAIN = fileURLToPath(new URL('./content-process-main.ts', import.meta.url));

export interface ContentProcess {
  /** `unix:///path` */
  address: string;
  /** Resolves when the process is gone. */
  kill(): Promise<void>;
}

/** A server in a process of its own, to be killed: `Read` streams as many bytes as the request's `size` says. */
export async function startContentProcess(
  address = `unix://${join(scratchDirectory(), 'c.sock')}`,
): Promise<ContentProcess> {
  const child = fork(MAIN, [address], { execArgv: [] });
  const exited = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  await once(child, 'message');
  return { address, kill };
}
