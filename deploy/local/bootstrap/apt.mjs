import { readdirSync } from 'node:fs';
import { fullPath } from './machine.mjs';
import { SetUpError, say, step } from './report.mjs';
import { run, tryRun } from './run.mjs';

const LISTS = '/var/lib/apt/lists';
const LOCK_TIMEOUT_S = 300;
const LOCK_RETRY_MS = 2000;

/** Nothing may ask a question, and somebody else's package manager is waited for. */
const OPTIONS = ['-q', '-y', '-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`];

function environment() {
  return { ...process.env, PATH: fullPath(), DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
}

/**
 * Runs apt-get; the package lists are brought up to date only when there are none, or when the packages cannot be
 * found with those that there are.
 * @param {string[]} args
 * @param {{ cwd?: string, mustFinish?: boolean }} [options]
 * @returns {Promise<{ stdout: string }>}
 */
export async function aptGet(args, options = {}) {
  const attempt = () => tryRun('apt-get', [...OPTIONS, ...args], { ...options, env: environment() });
  if (!hasLists()) await updateLists();
  const first = await attempt();
  if (first.code === 0) return first;
  if (/could not get lock/i.test(first.stderr)) throw failure(args, first);
  await updateLists();
  const second = await attempt();
  if (second.code !== 0) throw failure(args, second);
  return second;
}

/** What a query such as `apt-cache depends NAME` prints. */
export async function aptCache(args) {
  if (!hasLists()) await updateLists();
  return run('apt-cache', args, { env: environment() });
}

function hasLists() {
  try {
    return readdirSync(LISTS).some((file) => file.includes('_Packages'));
  } catch {
    return false;
  }
}

/** `apt-get update` has no option to wait for its lock. */
async function updateLists() {
  await step("getting the lists of Debian's packages", async () => {
    const deadlineMs = Date.now() + LOCK_TIMEOUT_S * 1000;
    let isWaiting = false;
    for (;;) {
      const result = await tryRun('apt-get', [...OPTIONS, 'update'], { env: environment() });
      if (result.code === 0) return;
      if (!/could not get lock/i.test(result.stderr) || Date.now() > deadlineMs)
        throw failure(['update'], result);
      if (!isWaiting) say('another package manager is at work; waiting for it');
      isWaiting = true;
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  });
}

function failure(args, result) {
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-20).join('\n  ');
  return new SetUpError(`"apt-get ${args.join(' ')}" ended with ${result.code}:\n  ${output}`);
}
