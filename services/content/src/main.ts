import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'content',
  purpose: 'blobs, leases, namespaces and garbage collection',
  keys,
  start,
});
