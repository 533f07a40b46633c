import { NODE_STATE_NAMES } from '@longshore/proto/node-json';
import { Option } from 'commander';
import { collect, type Define, examples } from '../command.ts';
import { durationOption } from '../durations.ts';
import { addOutputOptions, addWatchOption, type OutputOptions } from '../output/output-options.ts';
import { cordon, type DrainOptions, drain, label, remove } from './nodes/change-nodes.ts';
import {
  createJoinToken,
  type JoinTokenOptions,
  listJoinTokens,
  removeJoinTokens,
} from './nodes/join-tokens.ts';
import { type ListOptions, listNodes } from './nodes/list-nodes.ts';

export const define: Define = (command, session) => {
  const list = command.command('ls', { isDefault: true }).alias('list').description('List nodes.');
  addWatchOption(addOutputOptions(list))
    .option('-l, --selector <selector>', 'labels that all must match: zone=a,gpu,!old')
    .addOption(
      new Option('--state <state>', 'may be repeated; default: all but those that are gone')
        .choices(NODE_STATE_NAMES)
        .argParser(collect),
    )
    .action(session.action((options: ListOptions) => listNodes(session, options)));
  command
    .command('cordon <node...>')
    .description('Keep new containers and tasks off nodes.')
    .action(session.action((ids: string[]) => cordon(session, ids, true)));
  command
    .command('uncordon <node...>')
    .description('Let them in again; this ends a drain too.')
    .action(session.action((ids: string[]) => cordon(session, ids, false)));
  command
    .command('drain <node...>')
    .description('Cordon nodes and stop all that runs there, and wait for that.')
    .addOption(durationOption('--grace <duration>', 'how long each container has before SIGKILL', '30s'))
    .addOption(durationOption('--timeout <duration>', 'how long to wait', '10m'))
    .option('--no-wait', 'do not wait')
    .action(session.action((ids: string[], options: DrainOptions) => drain(session, ids, options)));
  command
    .command('label <node> <label...>')
    .description('Set labels (key=value) of a node, or remove them (key-).')
    .action(session.action((id: string, labels: string[]) => label(session, id, labels)));
  command
    .command('rm <node...>')
    .alias('remove')
    .description(
      'Remove nodes from the fleet: their certificates are worth nothing from then on, their records go.',
    )
    .option('-f, --force', 'also one that is ready and not drained')
    .action(session.action((ids: string[], options: { force?: boolean }) => remove(session, ids, options)));
  const tokens = command.command('join-token').description('Tokens that let machines join.');
  addOutputOptions(
    tokens.command('ls', { isDefault: true }).alias('list').description('List join tokens.'),
  ).action(session.action((options: OutputOptions) => listJoinTokens(session, options)));
  tokens
    .command('create')
    .description('Make a token, good for one machine; it is shown this once.')
    .addOption(durationOption('--ttl <duration>', 'how long it is good, at most 7d', '1h'))
    .option('--for <node>', 'the only id that it is good for')
    .option('-l, --label <key=value>', 'that the node begins with; may be repeated', collect)
    .addOption(
      new Option('-o, --output <format>', 'json or yaml (default: the command to run there)').choices([
        'json',
        'yaml',
      ]),
    )
    .action(session.action((options: JoinTokenOptions) => createJoinToken(session, options)));
  tokens
    .command('rm <id...>')
    .alias('remove')
    .description('Make tokens worthless.')
    .action(session.action((ids: string[]) => removeJoinTokens(session, ids)));
  examples(
    command,
    ['The nodes of a zone, with what they have', 'longshore nodes -l zone=a -o wide'],
    ['Take one out for maintenance, and back', 'longshore nodes drain n1; longshore nodes uncordon n1'],
    ['Add a machine', 'longshore nodes join-token create --for n4 -l zone=b'],
  );
};
