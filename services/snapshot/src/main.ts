import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'snapshot',
  purpose: "the catalogue of the nodes' snapshots",
  keys,
  start,
});
