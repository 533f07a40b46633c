import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'runtime',
  purpose: 'containers, sandboxes and the registry of nodes',
  keys,
  start,
});
