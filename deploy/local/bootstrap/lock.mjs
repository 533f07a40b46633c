import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { SetUpError, say } from './report.mjs';

/**
 * Waits for the lock, saying so, and holds it until the returned function is called or this process ends.
 * flock(1) locks our open file, so the kernel frees it however we end; no stale lock can remain.
 * @param {string} path
 * @returns {Promise<() => void>}
 */
export async function takeLock(path) {
  const fd = openSync(path, 'a+');
  if (!(await flock(fd, ['--nonblock']))) {
    const holder = readFileSync(path, 'utf8').trim();
    say(`another set-up is at work${holder ? ` (pid ${holder})` : ''}; waiting for it`);
    if (!(await flock(fd, []))) throw new SetUpError(`lock ${JSON.stringify(path)}: flock failed`);
  }
  writeFileSync(path, `${process.pid}\n`);
  return () => closeSync(fd);
}

function flock(fd, options) {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'inherit', fd] });
    child.once('error', (error) => reject(new SetUpError(`flock (package util-linux): ${error.message}`)));
    child.once('exit', (code) => resolve(code === 0));
  });
}
