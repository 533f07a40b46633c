import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmountRecursive } from '@longshore/linux';
import { onTestFinished } from 'vitest';

/** A directory for one test; when it ends, what is mounted below is unmounted and everything is removed. */
export async function scratchDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'longshore-layers-'));
  onTestFinished(async () => {
    await unmountRecursive(path);
    await rm(path, { recursive: true });
  });
  return path;
}
