import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { expect, it } from 'vitest';
import { ShimLog } from './shim-log.ts';

it('ShimLog never makes the shim wait, however much that writes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shim-log-'));
  const path = join(directory, 'log');
  execFileSync('mkfifo', [path]);
  const log = new ShimLog(path, createLogger('test', 'silent'));
  const lines = spawn('sh', ['-c', 'seq 1 200000 > "$0"; head -c 1000000 /dev/zero > "$0"', path]);
  expect(await once(lines, 'exit')).toEqual([0, null]);
  log.close();
  rmSync(directory, { recursive: true });
});
