import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({ name: 'gateway', purpose: 'the edge of the fleet: gRPC and HTTP/JSON', keys, start });
