import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { SOON } from '../task-fixture.testing.ts';

/** Stops a process; resolves when its last thread stands still, so that nothing is answered any more. */
export async function freezeProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const threads = () => readdirSync(`/proc/${pid}/task`);
  const stateOf = (thread: string) => readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1];
  await expect.poll(() => threads().every((thread) => stateOf(thread)?.startsWith('T')), SOON).toBe(true);
}
