import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('publish-main.ts', import.meta.url));

/**
 * Writes the program that shims get as their `-publish-binary`: a path that can be run as it is, whichever Node is on
 * their PATH. Answers its path.
 */
export function writePublishBinary(directory: string): string {
  const path = join(directory, 'publish');
  const words = [process.execPath, MAIN].map(quoted).join(' ');
  // A shim of an earlier agent's may be about to run it.
  writeFileSync(`${path}.new`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  renameSync(`${path}.new`, path);
  return path;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
