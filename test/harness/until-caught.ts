import { readFileSync } from 'node:fs';
import { waitUntil } from './wait-until.ts';

export const SIGTERM = 15;

/** Waits until a process, by its pid on the host, handles a signal: before, the first of a pid namespace loses it. */
export async function untilCaught(signal: number, pid: number): Promise<void> {
  const caught = () => {
    const mask = /^SigCgt:\t(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
  };
  if (!(await waitUntil(caught))) throw new Error(`process ${pid} does not handle signal ${signal}`);
}
