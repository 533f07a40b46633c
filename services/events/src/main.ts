import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'events',
  purpose: 'events.v1, the stream of lifecycle events, and the relay of outboxes into it',
  keys,
  start,
});
