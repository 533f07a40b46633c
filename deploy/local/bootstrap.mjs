#!/usr/bin/env node
/**
 * The one way in for `npm start`, `npm test` and the rest: provides what is missing, disturbing nothing that is there,
 * and runs the command. Plain JavaScript for Node 18 and newer, since the Node that runs TypeScript may be what is
 * missing. Every step looks first and does nothing when its result is there.
 */
import { mkdirSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchPackageManager } from './bootstrap/ancestors.mjs';
import { provideCeph } from './bootstrap/ceph.mjs';
import { startChild } from './bootstrap/child.mjs';
import { takeLock } from './bootstrap/lock.mjs';
import { checkMachine } from './bootstrap/machine.mjs';
import { provideNode } from './bootstrap/node-runtime.mjs';
import { SetUpError, say } from './bootstrap/report.mjs';
import { endRunning } from './bootstrap/run.mjs';
import { provideRuntimes } from './bootstrap/runtimes.mjs';
import { provideSoci } from './bootstrap/soci.mjs';
import { childEnvironment, provideToolchain } from './bootstrap/toolchain.mjs';
import { commandOf, USAGE } from './bootstrap/verbs.mjs';
import { provideWorkspace } from './bootstrap/workspace.mjs';

const repo = fileURLToPath(new URL('../..', import.meta.url));
const cache = resolve(process.env.LONGSHORE_CACHE || '/var/cache/longshore');

const HINTS = { start: 'Try "npm start -- --help".\n', fleet: 'Try "npm run fleet -- --help".\n' };

/** The command, once it runs; and the signal that asked us to end. */
let child;
let ending;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(signal));
watchPackageManager(() => end('SIGTERM'));

try {
  process.exitCode = await main();
} catch (error) {
  if (ending === undefined) say(error instanceof SetUpError ? error.message : error.stack);
  process.exitCode = 1;
}

async function main() {
  const command = parseCommand();
  if (command === undefined) return 2;
  if (command.text !== undefined) {
    process.stdout.write(command.text);
    return 0;
  }
  const env = await setUp(command);
  if (ending !== undefined) return 1;
  if (command.words.length === 0) return 0;
  child = startChild(command.words, { cwd: repo, env });
  return await child.exitCode;
}

function parseCommand() {
  try {
    return commandOf(repo, process.argv.slice(2));
  } catch (error) {
    const [verb] = process.argv.slice(2);
    process.stderr.write(`longshore: ${error.message}\n${HINTS[verb] ?? USAGE}`);
    return undefined;
  }
}

/** @returns {Promise<NodeJS.ProcessEnv>} the command's environment */
async function setUp({ needsWorkspace, needsS3 = false, needsRuntimes = false, needsSoci = false }) {
  await checkMachine();
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  const unlock = await takeLock(join(cache, 'lock'));
  try {
    const nodeDir = await provideNode(cache);
    if (needsWorkspace) await provideWorkspace(repo, childEnvironment(cache, nodeDir, undefined));
    const env = childEnvironment(cache, nodeDir, await provideToolchain(cache));
    if (needsS3) await provideCeph(cache);
    if (needsRuntimes) await provideRuntimes(cache);
    if (needsSoci) await provideSoci(cache);
    return { ...env, PATH: [join(repo, 'node_modules/.bin'), env.PATH].join(delimiter) };
  } finally {
    unlock();
  }
}

/** A second signal means the same; `startChild` knows how long to wait. */
function end(signal) {
  ending ??= signal;
  if (child !== undefined) child.end(signal);
  else endRunning().then(() => process.exit(1));
}
