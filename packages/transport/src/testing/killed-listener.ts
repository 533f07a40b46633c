import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDirectory } from './scratch.ts';

/** Leaves a socket file behind as a process does that was killed while it listened. */
export async function killedListener(path: string): Promise<void> {
  const script = join(scratchDirectory(), 'listen.mjs');
  writeFileSync(
    script,
    `import { createServer } from 'node:net';
     createServer().listen(process.argv[2], () => process.send('listening'));`,
  );
  const child = fork(script, [path], { execArgv: [] });
  await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'exit');
}
