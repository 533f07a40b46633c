import { runService } from '@longshore/kit';
import { keys } from './config.ts';
import { start } from './service.ts';

await runService({ name: 'image', purpose: 'names of images', keys, start });
