import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'agent',
  purpose:
    "the node socket, and this node's containers and snapshots; `join --help`: becoming a node; `stop-all --help`: stopping all containers",
  keys,
  start,
  commands: {
    // Loaded only when asked for: a running node has no use for it.
    join: async (args, env) => (await import('./node/join-command.ts')).runJoinCommand(args, env),
    'stop-all': async (args, env) =>
      (await import('./stop/stop-all-command.ts')).runStopAllCommand(args, env),
  },
});
