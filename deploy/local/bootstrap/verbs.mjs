import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FLEET_HELP, parseFleetOptions } from './fleet-options.mjs';
import { parseStartOptions, START_HELP } from './start-options.mjs';

export const USAGE = `Usage: node deploy/local/bootstrap.mjs VERB [ARG...]

  start    Start longshore on this machine ("start --help" lists the options).
  fleet    Start several nodes and their control plane on this machine ("fleet --help" lists the options).
  test     Run the tests; arguments go to Vitest.
  bench    Run the benchmark; arguments go to it.
  exec     Run a command with everything set up: exec COMMAND [ARG...].
  tools    Only get Node and Debian's packages.
  s3-tools The same, and the S3 server that the tests use.
  runtimes The same, and the shims and runtimes that only the tests run.
  soci     The same, and a snapshotter that only the long tests run.
`;

/**
 * What a verb runs once everything is there.
 * @param {string} repo
 * @param {string[]} argv verb and arguments
 * @returns {{ text: string } | { words: string[], needsWorkspace: boolean, needsS3?: boolean, needsRuntimes?: boolean, needsSoci?: boolean }} `text` is the whole
 *   answer; `words` is a command, empty for none
 * @throws {Error} that says what is wrong with the arguments
 */
export function commandOf(repo, [verb, ...args]) {
  const node = (path) => ({ words: ['node', join(repo, path), ...args], needsWorkspace: true });
  switch (verb) {
    case 'start':
      if (parseStartOptions(args, process.env).help) return { text: START_HELP };
      return node('deploy/local/src/main.ts');
    case 'fleet':
      if (parseFleetOptions(args).help) return { text: FLEET_HELP };
      return node('deploy/local/src/fleet-main.ts');
    case 'test':
      return { words: ['vitest', 'run', ...args], needsWorkspace: true, needsS3: !process.env.S3_ENDPOINT };
    case 'bench':
      if (!existsSync(join(repo, 'test/bench/main.ts'))) throw new Error('there is no test/bench/main.ts');
      return node('test/bench/main.ts');
    case 'exec':
      if (args.length === 0) throw new Error('exec needs a command');
      return { words: args, needsWorkspace: true };
    case 'tools':
      return { words: [], needsWorkspace: false };
    case 's3-tools':
      return { words: [], needsWorkspace: false, needsS3: true };
    case 'runtimes':
      return { words: [], needsWorkspace: false, needsRuntimes: true };
    case 'soci':
      return { words: [], needsWorkspace: false, needsSoci: true };
    case 'help':
    case '--help':
    case '-h':
      return { text: USAGE };
    default:
      throw new Error(verb === undefined ? 'a verb is needed' : `unknown verb "${verb}"`);
  }
}
