import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GunzippedFile } from './gunzipped-file.ts';
import { Scratch } from './testing/layers.ts';

let scratch: Scratch;
let path: string;

beforeEach(() => {
  scratch = new Scratch();
  path = join(scratch.path, 'layer');
});

afterEach(() => scratch.remove());

function opened(stored: Buffer, program = '/bin/gzip'): GunzippedFile {
  writeFileSync(path, stored);
  return GunzippedFile.verified(path, undefined, program)!;
}

async function bytesOf(file: GunzippedFile): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // Each is valid until the next.
  for await (const chunk of file) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('a file that a program decompresses', () => {
  it('has all its members, larger than a pipe', async () => {
    const [first, second] = [Buffer.alloc(3_000_000, 'first'), Buffer.from('second')];
    const file = opened(Buffer.concat([gzipSync(first), gzipSync(second)]));
    expect(Buffer.concat([first, second]).equals(await bytesOf(file))).toBe(true);
    expect(file.compressedBytes).toBe(readFileSync(path).length);
  });

  it.each([
    { what: 'cut off', damage: (stored: Buffer) => stored.subarray(0, stored.length - 6) },
    { what: 'changed', damage: (stored: Buffer) => stored.fill(0xff, 20, 40) },
  ])('is refused when it is $what', async ({ damage }) => {
    const file = opened(damage(gzipSync(Buffer.from('some text, not too short to be compressed'.repeat(9)))));
    await expect(bytesOf(file)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('is none when it is no gzip stream', () => {
    expect(opened(Buffer.from('no gzip'))).toBeUndefined();
  });

  it('leaves no process when it is given up', async () => {
    const [script, pidFile] = [join(scratch.path, 'program'), join(scratch.path, 'pid')];
    writeFileSync(script, `#!/bin/sh\necho $$ > ${pidFile}\nexec /bin/gzip "$@"\n`, { mode: 0o755 });
    for await (const _ of opened(gzipSync(Buffer.alloc(9_000_000)), script)) break;
    expect(existsSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}`)).toBe(false);
  });

  it('says so when the program cannot be run', async () => {
    const file = opened(gzipSync('text'), join(scratch.path, 'absent'));
    await expect(bytesOf(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
