import { spawn } from 'node:child_process';
import { SetUpError } from './report.mjs';

/** How much of a command's output is kept, from its end, to explain a failure. */
const KEPT_OUTPUT_CHARS = 64 * 1024;

/** Commands under way, with whether ending them half-way does harm. */
const running = new Map();

/**
 * Runs a command without a terminal: stdin closed, output captured.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, mustFinish?: boolean }} [options] `mustFinish`: it is in its own
 *   session and survives our end (a package manager that is cut leaves the machine in need of repair)
 * @returns {Promise<string>} its stdout
 * @throws {SetUpError} with the end of its output, when it exits with anything but 0
 */
export async function run(command, args, options = {}) {
  const result = await tryRun(command, args, options);
  if (result.code === 0) return result.stdout;
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-25).join('\n  ');
  throw new SetUpError(`"${command} ${args.join(' ')}" ended with ${result.code}:\n  ${output}`);
}

/**
 * As {@link run}, but a failure is an answer.
 * @returns {Promise<{ code: number | string, stdout: string, stderr: string }>} `code` is a signal's or error's name
 *   when there was no exit code
 */
export function tryRun(command, args, { cwd, env, mustFinish = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: mustFinish });
    running.set(child, mustFinish);
    const stdout = keepEnd(child.stdout);
    const stderr = keepEnd(child.stderr);
    const end = (code) => {
      running.delete(child);
      resolve({ code, stdout: stdout(), stderr: stderr() });
    };
    child.once('error', (error) => end(error.code ?? error.message));
    child.once('close', (code, signal) => end(code ?? signal));
  });
}

/** Ends what may be ended and waits for the rest. */
export async function endRunning() {
  const ends = [...running].map(([child, mustFinish]) => {
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (!mustFinish) child.kill('SIGTERM');
    return ended;
  });
  await Promise.all(ends);
}

function keepEnd(stream) {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    text = (text + chunk).slice(-KEPT_OUTPUT_CHARS);
  });
  return () => text;
}
