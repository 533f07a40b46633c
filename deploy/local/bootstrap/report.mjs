/** Progress and failures of the set-up, as plain lines on stderr: they must read well without a terminal. */

/** A failure whose message is all that a person needs; anything else is a bug and shows its stack. */
export class SetUpError extends Error {}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`longshore: ${line}\n`);
}

/**
 * Says what is being done, that it still is every 20 s, and how long it took.
 * @template T
 * @param {string} what
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(what, work) {
  const startMs = Date.now();
  const seconds = () => ((Date.now() - startMs) / 1000).toFixed(0);
  say(`${what} …`);
  const stillAlive = setInterval(() => say(`${what} … (${seconds()} s)`), 20_000);
  try {
    const result = await work();
    say(`${what}: done in ${seconds()} s`);
    return result;
  } finally {
    clearInterval(stillAlive);
  }
}
