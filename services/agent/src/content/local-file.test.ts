import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { LocalFile } from './local-file.ts';

const RANGE_BYTES = 32 * 1024;
const BLOB = randomBytes(1_000_003);

async function openBlob(bytes = BLOB, digest = digestOf(BLOB)) {
  const path = join(await scratchDirectory(), 'blob');
  await writeFile(path, bytes);
  const file = await LocalFile.open(path, digest, BLOB.length);
  onTestFinished(() => file?.close());
  return { file: file!, path };
}

/** Reads as most clients do: in ranges, one behind the other. */
async function readAll(file: LocalFile): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < BLOB.length; ) {
    const part = await file.read(at, Math.min(at + RANGE_BYTES, BLOB.length));
    if (!part) return undefined;
    parts.push(part);
    at += part.length;
  }
  return Buffer.concat(parts);
}

describe('LocalFile', () => {
  it('gives the bytes to several who read at the same time', async () => {
    const { file } = await openBlob();
    const all = await Promise.all(Array.from({ length: 6 }, () => readAll(file)));
    for (const read of all) expect(read?.equals(BLOB)).toBe(true);
  });

  it('answers most reads of one who reads on at once', async () => {
    const { file } = await openBlob();
    let waits = 0;
    for (let at = 0; at < BLOB.length; ) {
      const part = file.read(at, at + RANGE_BYTES);
      if (part instanceof Promise) waits += 1;
      at += (await part)!.length;
    }
    expect(waits).toBeLessThan(8);
  });

  it('gives any range', async () => {
    const { file } = await openBlob();
    for (const [start, end] of [
      [500_000, 500_010],
      [0, 1],
      [999_990, 1_000_003],
      [7, 1_000_003],
      [262_140, 262_150],
    ] as const) {
      const parts: Uint8Array[] = [];
      for (let at = start; at < end; at += parts.at(-1)!.length) parts.push((await file.read(at, end))!);
      expect(Buffer.concat(parts).equals(BLOB.subarray(start, end)), `${start} to ${end}`).toBe(true);
    }
  });

  it.each(['in order', 'the end alone'])(
    'never gives the last byte of a file that is wrong: %s',
    async (how) => {
      const wrong = Buffer.from(BLOB);
      wrong[500_000]! ^= 1;
      const { file } = await openBlob(wrong);
      if (how === 'in order') expect(await readAll(file)).toBeUndefined();
      expect(await file.read(BLOB.length - 1, BLOB.length)).toBeUndefined();
      expect((await file.read(0, 10))?.length).toBe(10);
    },
  );

  it('is no file of another size, nor a directory', async () => {
    const directory = await scratchDirectory();
    const path = join(directory, 'blob');
    await writeFile(path, BLOB.subarray(1));
    for (const other of [path, directory, join(directory, 'nothing')]) {
      expect(await LocalFile.open(other, digestOf(BLOB), BLOB.length)).toBeUndefined();
    }
  });

  it('is read to its end when its name goes, and ends with its last read when it is closed', async () => {
    const { file, path } = await openBlob();
    expect((await file.read(0, 10))?.length).toBe(10);
    await rename(path, `${path}.gone`);
    await rm(`${path}.gone`);
    const last = file.read(600_000, 600_010);
    await file.close();
    expect((await last)?.length).toBe(10);
    expect(await file.read(10, 20)).toBeUndefined();
  });
});
