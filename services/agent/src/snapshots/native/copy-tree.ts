import { read } from 'node:fs';
import { promisify } from 'node:util';
import { LongshoreError } from '@longshore/errors';
import { close, ended, spawnPiped } from '@longshore/linux';

/** GNU's, which every Debian has. */
const CP = '/usr/bin/cp';
const MAX_WORDS_BYTES = 4096;

/**
 * Copies what is in a directory into another, which takes over its attributes: owners, modes, times, extended attributes,
 * devices, holes; names of one file stay names of one file. Blocks are shared where the file system can share them.
 * Throws what `cp` says; part of the tree is there then. When `signal` aborts, it is given up, likewise.
 */
export async function copyTree(from: string, to: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const words = ['--archive', '--reflink=auto', '--sparse=auto', '--no-target-directory', '--', from, to];
  const copying = spawnPiped({ path: CP, args: words, env: { LC_ALL: 'C' } });
  const giveUp = () => process.kill(copying.pid, 'SIGKILL');
  // Asked at once: until it is, nobody reaps the process, so that its pid stays its own.
  const whenEnded = ended(copying.pid);
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    const said = await readAll(copying.stderr);
    signal?.removeEventListener('abort', giveUp);
    const end = await whenEnded;
    signal?.throwIfAborted();
    if ('code' in end && end.code === 0) return;
    throw failure(said);
  } finally {
    signal?.removeEventListener('abort', giveUp);
    for (const fd of [copying.stdin, copying.stdout, copying.stderr]) close(fd);
  }
}

function failure(said: string): Error {
  const isFull = /No space left on device|Disk quota exceeded/.test(said);
  return new LongshoreError(isFull ? 'ResourceExhausted' : 'Unknown', `copy of a layer: ${said.trim()}`);
}

/** Its first words: it says something of each file that it cannot copy. */
async function readAll(fd: number): Promise<string> {
  let said = '';
  const buffer = Buffer.alloc(MAX_WORDS_BYTES);
  for (;;) {
    const { bytesRead } = await promisify(read)(fd, buffer, 0, buffer.length, null);
    if (bytesRead === 0) return said;
    said = (said + buffer.toString('utf8', 0, bytesRead)).slice(0, MAX_WORDS_BYTES);
  }
}
