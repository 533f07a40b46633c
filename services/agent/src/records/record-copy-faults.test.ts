import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { RecordCopy } from './record-copy.ts';

const WRITER = fileURLToPath(new URL('testing/endless-writer.ts', import.meta.url));

describe('the file of a copy', () => {
  it('is whole after kill -9, with no position beyond its records', async () => {
    const path = join(await scratchDirectory(), 'records.db');
    const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let written = 0;
    for await (const chunk of child.stdout) {
      written = Number(String(chunk).trim().split('\n').at(-1));
      if (written > 200) break;
    }
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;

    using database = new DatabaseSync(path);
    expect(database.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
    using copy = new RecordCopy(path, 'node-1');
    const position = Number(copy.beginRound('runtime').position);
    expect(position).toBeGreaterThanOrEqual(written);
    const records = copy.list('container', 'default');
    expect(records).not.toBe('stale');
    expect(records).toHaveLength(position * 3);
  });

  it('is made anew when it cannot be read', async () => {
    const path = join(await scratchDirectory(), 'records.db');
    await writeFile(path, 'no database, but long enough to look at '.repeat(200));
    using copy = new RecordCopy(path, 'node-1');
    expect(copy.isComplete('content')).toBe(false);
    expect(copy.list('container', 'default')).toEqual([]);
  });
});
