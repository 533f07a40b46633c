import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, isErrno, mknodat } from '@longshore/linux';

const HOLD = 'hold';
const RELEASED = 'released';

/**
 * Has a process of its own hold fifos open: a shim closes them when its container ends, and with the last end of a fifo goes what is
 * in it, which the agent may not be there to read. The process waits for a writer of the fifo `hold`, so that whoever finds the
 * directory can end it; see {@link letGo}. It holds their reading ends alone, so that whoever reads them hears of their end.
 * `onError` hears when it could not be started.
 */
export function holdOpen(directory: string, fifos: readonly string[], onError: (error: Error) => void): void {
  const hold = join(directory, HOLD);
  mknodat(AT_FDCWD, hold, constants.S_IFIFO | 0o600, 0);
  const fds: number[] = [];
  try {
    for (const path of fifos) fds.push(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    const holder = spawn('cat', [hold], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', ...fds],
    });
    holder.on('error', onError);
    holder.unref();
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** Ends the process that holds the fifos of a directory, if there is one. */
export function letGo(directory: string): void {
  try {
    const released = join(directory, RELEASED);
    // One that has not begun to wait will not find it; all others are there to be woken.
    renameSync(join(directory, HOLD), released);
    closeSync(openSync(released, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENXIO')) throw error;
  }
}
