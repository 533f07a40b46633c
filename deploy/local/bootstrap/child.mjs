import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { SetUpError } from './report.mjs';

/** Everything must be gone 10 s after npm is: this is what its own orderly end may take. */
const END_TIMEOUT_MS = 6000;

/**
 * Runs the command that everything was set up for. It gets its own session, so that Ctrl-C reaches it once, from us,
 * and its parts not at all; and the kernel sends it SIGTERM when we are killed.
 * @param {string[]} words
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} options
 * @returns {{ exitCode: Promise<number>, end(signal: NodeJS.Signals): void }}
 */
export function startChild(words, { cwd, env }) {
  const args = ['--pdeathsig', 'TERM', '--', ...words];
  const child = spawn('setpriv', args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const exitCode = new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new SetUpError(`setpriv (package util-linux): ${error.message}`)));
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
  let deadline;
  const end = (signal) => {
    child.kill(signal);
    deadline ??= setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    deadline.unref();
  };
  return { exitCode, end };
}
