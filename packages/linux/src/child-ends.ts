import { endOf, type ProcessEnd } from './spawn.ts';

const awaited = new Map<number, PromiseWithResolvers<ProcessEnd>>();

/**
 * Resolves when a program that `spawnPiped` started has ended, with how; the pid is free then. Asked once for each, on
 * the main thread: others hear of no signals. It alone does not keep this process running.
 */
export function ended(pid: number): Promise<ProcessEnd> {
  const ending = Promise.withResolvers<ProcessEnd>();
  if (awaited.size === 0) process.on('SIGCHLD', lookAtAll);
  awaited.set(pid, ending);
  // It may have ended before anybody listened.
  lookAt(pid);
  return ending.promise;
}

/** One signal may tell of several. */
function lookAtAll(): void {
  for (const pid of [...awaited.keys()]) lookAt(pid);
}

function lookAt(pid: number): void {
  try {
    const end = endOf(pid);
    if (end) forget(pid)?.resolve(end);
  } catch (error) {
    forget(pid)?.reject(error);
  }
}

function forget(pid: number): PromiseWithResolvers<ProcessEnd> | undefined {
  const ending = awaited.get(pid);
  awaited.delete(pid);
  if (awaited.size === 0) process.off('SIGCHLD', lookAtAll);
  return ending;
}
