import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What can be had for the layers by programs, one after another, into one directory. */
export function igzipToTar(files: readonly string[], directory: string) {
  const into = join(directory, 'tree');
  const script =
    'set -e -o pipefail; into=$1; shift; for file; do igzip -dc "$file" | tar -x -C "$into"; done';
  return {
    async prepare() {
      await rm(into, { recursive: true, force: true });
      await mkdir(into);
    },
    async unpack() {
      await run('bash', ['-c', script, 'bash', into, ...files]);
    },
  };
}
