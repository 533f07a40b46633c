import { parseArgs } from 'node:util';

/**
 * The options of `npm start`. They are read twice: before the set-up, which may take minutes, so that a wrong one is
 * told at once; and by the program itself.
 */
const OPTIONS = {
  image: { type: 'string', short: 'i' },
  command: { type: 'string', short: 'c' },
  once: { type: 'boolean', default: false },
  'plain-http': { type: 'boolean', default: false },
  root: { type: 'string' },
  state: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
};

export const START_HELP = `Starts longshore on this machine, runs one container on it, and stays up.

Usage: npm start -- [options] [-- COMMAND [ARG...]]

  -i, --image REF      Image to pull and run, e.g. docker.io/library/alpine:latest. Without it: a well-known public
                       image, or, when the internet is out of reach, one made here and served by a private registry.
  -c, --command LINE   Command to run in the container, by /bin/sh; or give the words of it after "--".
      --once           End after the container did, with its exit code, instead of staying up.
      --plain-http     The registry of --image speaks HTTP, not HTTPS.
      --root DIR       Durable state: metadata, blobs, snapshots. Default: $LONGSHORE_ROOT or /var/lib/longshore.
      --state DIR      Run-time files: sockets, logs, process ids. Default: $LONGSHORE_STATE or /run/longshore.
  -h, --help           This text.

Environment: LONGSHORE_CACHE (default /var/cache/longshore) keeps what the set-up fetched: Node, and Debian packages
unpacked privately. LONGSHORE_SOCKET (default $LONGSHORE_STATE/longshore.sock) is the node socket.

Needs Debian or the like, as root. The first start gets what is missing from npm and from Debian; that takes minutes.
`;

/**
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 */
export function parseStartOptions(argv, env) {
  const { values, positionals } = parseArgs({ args: argv, options: OPTIONS, allowPositionals: true });
  const words = positionals.length > 0 ? positionals : undefined;
  if (words !== undefined && !argv.includes('--'))
    throw new Error(`unexpected "${words[0]}"; a command goes after "--"`);
  if (words !== undefined && values.command !== undefined)
    throw new Error('--command and "--" exclude each other');
  return {
    help: values.help,
    image: values.image,
    command: values.command === undefined ? words : ['/bin/sh', '-c', values.command],
    once: values.once,
    plainHttp: values['plain-http'],
    root: values.root ?? (env.LONGSHORE_ROOT || '/var/lib/longshore'),
    state: values.state ?? (env.LONGSHORE_STATE || '/run/longshore'),
  };
}
