import { readFileSync } from 'node:fs';
import type { Ctr } from './ctr.ts';

/** A container's command that runs until SIGTERM, which it answers with the exit code 5. */
export const UNTIL_TERM = ['sh', '-c', 'trap "exit 5" TERM; sleep 100000 & wait'];

/** Pid and start time of a running task: together they name a process for ever. Throws when it does not run. */
export async function identityOf(ctr: Ctr, id: string): Promise<string> {
  const listed = await ctr.ok(['task', 'ls']);
  const pid = new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(listed)?.[1];
  if (pid === undefined) throw new Error(`task ${id} does not run:\n${listed}`);
  const startTime = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[19];
  return `${pid} ${startTime}`;
}
