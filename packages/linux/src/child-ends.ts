import { endOf, type ProcessEnd } from './spawn.ts';

const awaited = new Map<number, (end: ProcessEnd) => void>();

/**
 * Resolves when a program that `spawnPiped` started has ended, with how; the pid is free then. Asked once for each, on
 * the main thread: others hear of no signals. It alone does not keep this process running.
 */
export function ended(pid: number): Promise<ProcessEnd> {
  const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
  if (awaited.size === 0) process.on('SIGCHLD', lookAtAll);
  awaited.set(pid, resolve);
  // It may have ended before anybody listened.
  lookAt(pid);
  return promise;
}

/** One signal may tell of several. */
function lookAtAll(): void {
  for (const pid of [...awaited.keys()]) lookAt(pid);
}

function lookAt(pid: number): void {
  const end = endOf(pid);
  if (!end) return;
  const resolve = awaited.get(pid);
  awaited.delete(pid);
  if (awaited.size === 0) process.off('SIGCHLD', lookAtAll);
  resolve?.(end);
}
