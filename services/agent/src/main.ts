import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'agent',
  purpose: "the node socket, and this node's containers and snapshots",
  keys,
  start,
});
