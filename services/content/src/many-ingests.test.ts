import { createHash } from 'node:crypto';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentFixture, callOf } from './testing/content-fixture.ts';

const INGESTS = 100;
const BLOB_BYTES = 5_000_000;
const CHUNK_BYTES = 1_000_000;

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

/** Another blob for each number; made when it is needed, so that they are not all in memory. */
function blobOf(number: number): Buffer {
  const blob = Buffer.alloc(BLOB_BYTES, `blob ${number}, over and over again `);
  blob.writeUInt32BE(number);
  return blob;
}

async function ingest(number: number): Promise<string> {
  const blob = blobOf(number);
  const [total, expected] = [BigInt(BLOB_BYTES), digestOf(blob)];
  const session = fixture.write();
  await session.send({ ref: `many-${number}`, total, expected });
  for (let at = 0; at < BLOB_BYTES; at += CHUNK_BYTES) {
    const data = blob.subarray(at, at + CHUNK_BYTES);
    await session.send({ action: WriteAction.WRITE, offset: BigInt(at), data });
  }
  const labels = { 'containerd.io/gc.root': 'yes' };
  await session.send({ action: WriteAction.COMMIT, offset: total, total, expected, labels });
  await session.end();
  return expected;
}

describe('a hundred ingests at once', () => {
  it('all succeed, and give back their bytes', async () => {
    const digests = await Promise.all(Array.from({ length: INGESTS }, (_, number) => ingest(number)));
    expect(new Set(digests).size).toBe(INGESTS);
    for (const digest of digests) {
      const hash = createHash('sha256');
      for await (const { data } of fixture.content.read({ digest }, callOf())) hash.update(data);
      expect(`sha256:${hash.digest('hex')}`).toBe(digest);
    }
  }, 120_000);
});
