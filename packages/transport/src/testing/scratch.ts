import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory of the running test, removed after it. */
export function scratchDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'longshore-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
