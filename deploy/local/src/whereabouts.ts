import { fileURLToPath } from 'node:url';
import type { Ctr } from './ctr.ts';
import { quote } from './ctr.ts';
import type { Instance } from './instance.ts';
import type { JobImage } from './job-image.ts';
import type { Nats } from './nats.ts';
import type { Postgres } from './postgres.ts';
import { SERVICE_NAMES, type Services } from './services.ts';

export interface Whereabouts {
  instance: Instance;
  services: Services;
  postgres: Postgres;
  nats: Nats;
  ctr: Ctr;
  /** What to try next with; undefined when none could be pulled. */
  image: JobImage | undefined;
}

/** Where things are, and lines to paste into a shell. */
export function describeWhereabouts({ instance, services, postgres, nats, ctr, image }: Whereabouts): string {
  const addresses = SERVICE_NAMES.flatMap((name) =>
    Object.entries(services.addresses(name)).map(
      ([kind, address]) => `  ${`${name} ${kind}`.padEnd(18)} ${address}`,
    ),
  );
  return [
    '',
    'longshore is up. Where things are:',
    `  ${'node socket'.padEnd(18)} ${instance.socket}`,
    ...addresses,
    `  ${'NATS'.padEnd(18)} ${nats.url}  user ${nats.user}, password in ${nats.passwordFile}`,
    `  ${'Postgres'.padEnd(18)} ${postgres.url}`,
    `  ${'logs'.padEnd(18)} ${instance.logDir}`,
    `  ${'data'.padEnd(18)} ${instance.root}`,
    '',
    'What to try next (in another terminal, as root):',
    ...['ps --all', 'images', '--help'].map((args) => `  ${longshore(instance)} ${args}`),
    ...suggestions(image).map((args) => `  ${ctr.commandLine(args)}`),
    `  psql ${quote(postgres.url)} -c '\\dn'`,
    '',
    'Ctrl-C ends everything, containers included.',
    '',
  ].join('\n');
}

/** Our own command, by the Node that runs this: the machine's may be too old. */
function longshore({ socket }: Instance): string {
  const program = fileURLToPath(new URL('../../../packages/cli/bin/longshore.mjs', import.meta.url));
  return [process.execPath, program, '--address', `unix://${socket}`].map(quote).join(' ');
}

function suggestions(image: JobImage | undefined): string[][] {
  if (image === undefined) return [['version'], ['plugins', 'ls']];
  return [
    ['image', 'ls'],
    ['run', '-d', image.ref, 'web', 'sleep', '1000'],
    ['task', 'ls'],
    ['task', 'exec', '--exec-id', 'look', 'web', 'ps'],
    ['task', 'kill', '-s', 'SIGKILL', 'web'],
    ['events'],
  ];
}
