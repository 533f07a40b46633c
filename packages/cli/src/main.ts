import { run } from './run.ts';

const { stdin, stdout, stderr, env } = process;

// A reader that has seen enough, e.g. `head`, is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  stderr.write(`longshore: standard output: ${error.message}\n`);
  process.exit(1);
});
// Nobody is left to tell.
stderr.on('error', () => undefined);

const code = await run(process.argv.slice(2), { stdin, stdout, stderr, env, signals: process });
// Streams of files, pipes and terminals are written synchronously: nothing is lost by not waiting for idle connections. That a disk is full
// is told a moment later.
await new Promise(setImmediate);
process.exit(code);
