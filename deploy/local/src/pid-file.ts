import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { alreadyExists, internal } from '@longshore/errors';

/**
 * Takes a pid file for this process, until it ends or closes it. flock(1) locks our open file: the kernel frees it
 * however we end, so that a file which is left behind means nothing.
 * Throws AlreadyExists, naming the other's pid, when another process holds it.
 */
export function takePidFile(path: string): Disposable {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  const fd = openSync(path, 'a+', 0o600);
  const { status, error } = spawnSync('flock', ['--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  if (error !== undefined) throw internal(`flock (package util-linux): ${error.message}`, { cause: error });
  if (status !== 0) {
    const pid = readFileSync(path, 'utf8').trim();
    closeSync(fd);
    throw alreadyExists(`already running, pid ${pid}`);
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return { [Symbol.dispose]: () => closeSync(fd) };
}
