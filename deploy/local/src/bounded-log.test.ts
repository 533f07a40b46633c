import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BoundedLog } from './bounded-log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-log-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('BoundedLog', () => {
  it('keeps at most two files of the given size, the newest lines among them', () => {
    const log = new BoundedLog(join(dir, 'logs/x.log'), 100);
    for (let i = 0; i < 50; i++) log.write(Buffer.from(`line ${i}\n`));
    log.close();
    expect(readdirSync(join(dir, 'logs')).sort()).toEqual(['x.log', 'x.log.1']);
    for (const name of ['x.log', 'x.log.1'])
      expect(statSync(join(dir, 'logs', name)).size).toBeLessThanOrEqual(100);
    expect(readFileSync(log.path, 'utf8')).toMatch(/line 49\n$/);
    expect(log.tail()).toMatch(/line 49\n$/);
  });

  it('goes on where an earlier one left off', () => {
    const path = join(dir, 'x.log');
    for (const line of ['one\n', 'two\n']) {
      const log = new BoundedLog(path);
      log.write(Buffer.from(line));
      log.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  });
});
