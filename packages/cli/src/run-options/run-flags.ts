import type { Command } from 'commander';
import { collect } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { addIsolationFlags, type IsolationFlags } from './isolation.ts';
import { addLimitFlags, type LimitFlags } from './limits.ts';
import { parseBytes } from './sizes.ts';

export type PullPolicy = 'missing' | 'always' | 'never';

/** What `run` is told of the container that it makes. */
export interface RunFlags extends LimitFlags, IsolationFlags {
  interactive?: boolean;
  tty?: boolean;
  detach?: boolean;
  rm?: boolean;
  name?: string;
  cidfile?: string;
  detachKeys?: string;
  sigProxy: boolean;
  env?: string[];
  envFile?: string[];
  workdir?: string;
  user?: string;
  entrypoint?: string;
  hostname?: string;
  label?: string[];
  annotation?: string[];
  volume?: string[];
  mount?: string[];
  tmpfs?: string[];
  shmSize?: number;
  sysctl?: string[];
  restart: string;
  stopSignal?: string;
  runtime?: string;
  snapshotter?: string;
  pull: PullPolicy;
  platform?: string;
  quiet?: boolean;
}

/** As Docker and nerdctl have them, so far as they make sense without networks and volumes. */
export function addRunFlags(command: Command): void {
  command
    .option('-i, --interactive', 'give it this standard input')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'let it run, and print its id')
    .option('--rm', 'remove it once it has ended')
    .option('--name <id>', 'its id (default: a random one)')
    .option('--cidfile <file>', 'write its id to a new file')
    .option('--detach-keys <keys>', 'let go of it by these keys', 'ctrl-p,ctrl-q')
    .option('--no-sig-proxy', 'keep signals to this command from it')
    .option(
      '-e, --env <name=value>',
      "a variable of its environment; the name alone takes this command's own",
      collect,
    )
    .option('--env-file <file>', 'read variables from a file', collect)
    .option('-w, --workdir <path>', 'its working directory')
    .option('-u, --user <user[:group]>', 'whom it runs as: names or ids')
    .option('--entrypoint <program>', "run this, in the place of the image's entrypoint and command")
    .option('-h, --hostname <name>', 'its host name')
    .option('-l, --label <name=value>', 'a label of the container', collect)
    .option('--annotation <name=value>', 'an annotation for the runtime', collect)
    .option('-v, --volume <source:destination[:ro]>', 'mount a directory of the node', collect)
    .option(
      '--mount <fields>',
      'type=bind,source=,target=[,readonly]; type=tmpfs,target=[,tmpfs-size=]',
      collect,
    )
    .option('--tmpfs <path[:options]>', 'mount a new file system in memory', collect)
    .option('--shm-size <size>', 'of /dev/shm, e.g. 128m', (text) => parseBytes(text, '--shm-size'))
    .option('--sysctl <name=value>', 'a kernel setting of its own namespaces', collect)
    .option('--restart <policy>', 'no, always, unless-stopped, on-failure[:most]', parseRestart, 'no')
    .option('--stop-signal <signal>', 'what "stop" sends it')
    .option('--runtime <name>', 'the shim that runs it (default: "io.containerd.runc.v2")')
    .option('--snapshotter <name>', 'who keeps its root file system (default: "overlayfs")')
    .option('--pull <when>', 'missing, always or never', parsePull, 'missing')
    .option('--platform <os/arch[/variant]>', 'of the image; default: what the node runs')
    .option('-q, --quiet', 'say nothing of a pull');
  addLimitFlags(command);
  addIsolationFlags(command);
}

/** Throws UsageError for flags that contradict one another. */
export function checkFlags(flags: RunFlags): void {
  const { detach, interactive, rm, restart, cpuShares } = flags;
  if (detach && interactive && !flags.tty) {
    throw new UsageError('--detach with --interactive: nobody would be there to type');
  }
  if (rm && restart !== 'no') throw new UsageError('--rm with --restart: it cannot be both');
  if (cpuShares !== undefined && (cpuShares < 2 || cpuShares > 262_144)) {
    throw new UsageError(`--cpu-shares ${cpuShares}: not within 2 and 262144`);
  }
}

function parsePull(text: string): PullPolicy {
  if (text === 'missing' || text === 'always' || text === 'never') return text;
  throw new UsageError(`--pull "${text}": unknown`, 'Known are missing, always and never.');
}

function parseRestart(text: string): string {
  if (/^(no|always|unless-stopped|on-failure(:\d+)?)$/.test(text)) return text;
  throw new UsageError(
    `--restart "${text}": unknown`,
    'Known are no, always, unless-stopped, on-failure[:most].',
  );
}
