import { runService } from '@longshore/kit';
import { runAuthorityCommand } from './authority/command.ts';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({
  name: 'runtime',
  purpose: 'containers, sandboxes and the registry of nodes; `ca --help`: its certificate authority',
  keys,
  start,
  commands: { ca: runAuthorityCommand },
});
