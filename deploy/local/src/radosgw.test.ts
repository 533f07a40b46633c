import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { guard } from './guard.ts';
import { listProcesses } from './proc-table.ts';
import { startRadosgw } from './radosgw.ts';
import { listKeys } from './s3-request.ts';

it('startRadosgw gives a bucket that only its user may see, and leaves nothing behind', {
  timeout: 180_000,
}, async () => {
  const parent = mkdtempSync(join(tmpdir(), 'longshore-s3-'));
  guard().removeWithUs(parent);
  onTestFinished(() => rmSync(parent, { recursive: true }));
  const dir = join(parent, 'ceph');
  const server = await startRadosgw(dir);
  const pids = server.processes.map(({ pid }) => pid);
  try {
    expect(await listKeys(server)).toEqual({ objects: [], uploads: [] });
    await expect(listKeys({ ...server, secretKey: 'guessed' })).rejects.toThrow('403');
    expect(server.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  } finally {
    await server.close();
  }
  expect(listProcesses().filter(({ pid }) => pids.includes(pid))).toEqual([]);
  expect(existsSync(dir)).toBe(false);
});
