import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentFixture, callOf } from './testing/content-fixture.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const HALF = randomBytes(600_000);
const BLOB = Buffer.concat([HALF, HALF]);

let directory: string;
let fixture: ContentFixture;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'longshore-test', directory]);
  fixture = await ContentFixture.start({ LONGSHORE_CONTENT_DIRECTORY: join(directory, 'content') });
});

afterAll(async () => {
  await fixture?.close();
  execFileSync('umount', [directory]);
  await rm(directory, { recursive: true });
});

/** Fills the disk but for some blocks. */
async function fill(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  await writeFile(path, Buffer.alloc(Math.max(0, bavail - 20) * bsize));
}

describe('a store without space', () => {
  it('refuses more, keeps what is durable, and goes on when there is space again', async () => {
    const session = fixture.write();
    const total = BigInt(BLOB.length);
    await session.send({ ref: 'full', total, action: WRITE, data: HALF });
    await session.send({ action: STAT });
    const other = join(directory, 'other');
    await fill(other);
    const half = BigInt(HALF.length);
    await expect(session.send({ action: WRITE, offset: half, data: HALF })).rejects.toMatchObject({
      kind: 'ResourceExhausted',
      message: expect.stringContaining('no space left'),
    });
    const { status } = await fixture.content.status({ ref: 'full' }, callOf());
    expect(status).toMatchObject({ ref: 'full', total });
    expect(status?.offset).toBeGreaterThanOrEqual(half);
    // What is stored can still be read, and refusals are refusals.
    await expect(fixture.content.info({ digest: digestOf(BLOB) }, callOf())).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await rm(other);
    await using again = fixture.write();
    const opened = await again.send({ ref: 'full', total });
    expect(opened.digest).toBe(digestOf(BLOB.subarray(0, Number(opened.offset))));
    const rest = BLOB.subarray(Number(opened.offset));
    await again.send({ action: COMMIT, offset: opened.offset, data: rest, total });
    expect(await fixture.read(digestOf(BLOB))).toBe(BLOB.toString());
  });
});
