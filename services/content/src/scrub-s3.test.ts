import { randomBytes } from 'node:crypto';
import { encodedOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Bucket } from './storage/s3/s3-bucket.ts';
import { ContentFixture, callOf } from './testing/content-fixture.ts';
import { S3FaultProxy } from './testing/s3-fault-proxy.ts';
import { createTestBucket, S3_START_TIMEOUT_MS, type TestBucket } from './testing/test-bucket.ts';

const SIZE = 6 * 1024 * 1024;
const N1 = { namespace: 'ci', node: 'n1' };
const N2 = { namespace: 'ci', node: 'n2' };

let bucket: TestBucket;
let objects: S3Bucket;
let fixture: ContentFixture;

beforeAll(async () => {
  bucket = await createTestBucket();
  objects = new S3Bucket(bucket.options());
  fixture = await ContentFixture.start(bucket.env());
}, S3_START_TIMEOUT_MS);

afterAll(async () => {
  await fixture?.close();
  objects?.close();
  await bucket?.close();
});

describe('a blob in an object store', () => {
  it.each([
    ['with a flipped byte', (key: string, bytes: Buffer) => objects.put(key, [flipped(bytes)])],
    ['that is too short', (key: string, bytes: Buffer) => objects.put(key, [bytes.subarray(1)])],
    ['that is gone', (key: string) => objects.remove(key)],
  ])('%s is quarantined, and healed for all by the next commit', async (_, damage) => {
    const bytes = randomBytes(SIZE);
    const digest = await fixture.put(bytes, {}, N1);
    await fixture.put(bytes, {}, N2);
    const stored = (await bucket.keys()).find((key) => key.includes(encodedOf(digest)));
    await damage(`${bucket.options().prefix}${stored}`, bytes);
    await expect(fixture.read(digest, N1)).rejects.toMatchObject({ kind: 'DataLoss' });
    await expect(fixture.blobs.locate({ digest }, callOf(N2))).rejects.toMatchObject({ kind: 'DataLoss' });
    await fixture.put(bytes, {}, N2).catch((error) => expect(error).toMatchObject({ kind: 'AlreadyExists' }));
    expect(await fixture.read(digest, N1)).toBe(bytes.toString());
    expect(await fixture.scrub.scrub({ digest })).toMatchObject({ size: BigInt(SIZE), corruptReason: '' });
  });

  it('is not taken for corrupt when the store is busy', async () => {
    await using proxy = await S3FaultProxy.start(bucket.options().endpoint);
    await using replica = await fixture.replica(bucket.env({ endpoint: proxy.endpoint, timeoutMs: 300 }));
    const digest = await fixture.put(randomBytes(SIZE), {}, N1);
    proxy.faults = () => ({ answer: 503, code: 'SlowDown' });
    await expect(replica.scrub.scrub({ digest })).rejects.toMatchObject({ kind: 'Unavailable' });
    proxy.faults = () => undefined;
    expect((await fixture.scrub.listCorrupt({})).blobs).toEqual([]);
    expect(await fixture.scrub.scrub({ digest })).toMatchObject({ corruptReason: '' });
  });
});

function flipped(bytes: Buffer): Buffer {
  const wrong = Buffer.from(bytes);
  wrong[SIZE / 2] = wrong[SIZE / 2]! ^ 0xff;
  return wrong;
}
