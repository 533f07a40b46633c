import { run } from './run.ts';

const { stdin, stdout, stderr, env } = process;

// A reader that has seen enough, e.g. `head`, is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

// Streams of files, pipes and terminals are written synchronously: nothing is lost by not waiting for idle connections.
process.exit(await run(process.argv.slice(2), { stdin, stdout, stderr, env, signals: process }));
