import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Digest, digestOf } from '@longshore/oci';
import { describe, expect, it, vi } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { SMALL_BLOB_BYTES, SmallBlobs } from './small-blobs.ts';

function blob(text: string): { digest: Digest; data: Buffer } {
  const data = Buffer.from(text.repeat(100));
  return { data, digest: digestOf(data) };
}

describe('SmallBlobs', () => {
  it('stays within its size: what was longest unused goes first', async () => {
    const now = vi.spyOn(Date, 'now');
    using blobs = new SmallBlobs(join(await scratchDirectory(), 'blobs.db'), 300);
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(blob);
    [a!, b!, c!].forEach(({ digest, data }, minute) => {
      now.mockReturnValue(minute * 120_000);
      blobs.put(digest, data);
    });
    now.mockReturnValue(10 * 120_000);
    expect(blobs.get(a!.digest)).toEqual(new Uint8Array(a!.data));
    blobs.put(d!.digest, d!.data);
    expect([a, b, c, d].map((one) => blobs.has(one!.digest))).toEqual([true, false, true, true]);
    now.mockRestore();
  });

  it('is there after a restart, and knows its size', async () => {
    const path = join(await scratchDirectory(), 'blobs.db');
    const [a, b] = [blob('a'), blob('b')];
    {
      using blobs = new SmallBlobs(path, 150);
      blobs.put(a.digest, a.data);
    }
    using blobs = new SmallBlobs(path, 150);
    expect(blobs.has(a.digest)).toBe(true);
    blobs.put(b.digest, b.data);
    expect([a, b].map(({ digest }) => blobs.has(digest))).toEqual([false, true]);
  });

  it('is read while the disk takes nothing', async () => {
    const now = vi.spyOn(Date, 'now').mockReturnValue(0);
    const path = join(await scratchDirectory(), 'blobs.db');
    using blobs = new SmallBlobs(path);
    const { digest, data } = blob('a');
    blobs.put(digest, data);
    const disk = new DatabaseSync(path);
    disk.exec(`CREATE TRIGGER full BEFORE UPDATE ON blob BEGIN SELECT RAISE(FAIL, 'disk is full'); END`);
    disk.close();
    now.mockReturnValue(120_000);
    expect(blobs.get(digest)).toEqual(new Uint8Array(data));
    now.mockRestore();
  });

  it('keeps nothing large, and nothing that is not what it is called', () => {
    using blobs = new SmallBlobs(':memory:');
    const large = Buffer.alloc(SMALL_BLOB_BYTES + 1);
    blobs.put(digestOf(large), large);
    expect(blobs.has(digestOf(large))).toBe(false);
    blobs.put(blob('a').digest, blob('b').data);
    expect(blobs.has(blob('a').digest)).toBe(false);
  });
});
