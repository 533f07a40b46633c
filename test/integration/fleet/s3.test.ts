import { randomBytes, randomUUID } from 'node:crypto';
import { type FleetBucket, listKeys, makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlaneCalls } from '../../harness/control-plane-calls.ts';
import { type Fleet, startFleet } from '../../harness/fleet.ts';
import { queryFleet } from '../../harness/fleet-query.ts';
import { sharedS3 } from '../../harness/shared-s3.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const LAYER_BYTES = 20 * 1024 * 1024;

let bucket: FleetBucket;
let fleet: Fleet;
let reference: string;
let blobs: string[];

beforeAll(async () => {
  bucket = { ...(await sharedS3()), prefix: `${randomUUID()}/` };
  fleet = await startFleet({
    bucket,
    replicas: 1,
    env: { LONGSHORE_CONTENT_GRACE_MS: '0', LONGSHORE_CONTENT_LOCATE_MS: '60000' },
  });
  const layer = [{ path: 'file', type: 'file' as const, content: randomBytes(LAYER_BYTES) }];
  const image = await makeBusyboxImage({ layers: [layer], gzip: false });
  reference = await fleet.push('fleet/image', '1', image);
  blobs = [...image.blobs.keys()];
});
afterAll(async () => {
  // Fails when anything is left.
  await fleet?.close();
});

/** Names of the digests that were fetched from the registry since it was asked last. */
function fetched(): string[] {
  const paths = fleet.registryRequests().filter(({ method }) => method === 'GET');
  fleet.forgetRegistryRequests();
  return paths.flatMap(({ path }) => /\/blobs\/(sha256:[0-9a-f]+)/.exec(path)?.[1] ?? []).sort();
}

async function stored(): Promise<string[]> {
  const { objects, uploads } = await listKeys(bucket, bucket.prefix);
  expect(uploads).toEqual([]);
  return objects.map((key) => key.slice(bucket.prefix.length));
}

const run = async (id: string) =>
  fleet.node(id).ctr.ok(['run', '--rm', reference, `on-${id}`, 'wc', '-c', '/file']);

describe('a fleet that keeps its blobs in a bucket', () => {
  it('pulls and runs an image; nodes read its layers from the bucket', async () => {
    const node = fleet.node('n1');
    const calls = await ControlPlaneCalls.during(node, () =>
      node.ctr.ok(['image', 'pull', '--plain-http', reference]),
    );
    expect(fetched()).toEqual(blobs.sort());
    expect(calls.count('blob-url/GET')).toBeGreaterThanOrEqual(2);
    expect(await run('n1')).toBe(`${LAYER_BYTES} /file\n`);
  });

  it('gives it to the next node without a blob from the registry', async () => {
    const node = fleet.node('n2');
    const before = await stored();
    const calls = await ControlPlaneCalls.during(node, () =>
      node.ctr.ok(['image', 'pull', '--plain-http', reference]),
    );
    expect(fetched()).toEqual([]);
    expect(calls.count('blob-url/GET')).toBeGreaterThanOrEqual(2);
    expect(await run('n2')).toBe(`${LAYER_BYTES} /file\n`);
    expect(await stored()).toEqual(before);
    expect(before.map((key) => key.split('/').slice(0, 2).join('/'))).toEqual(
      before.map(() => 'blobs/sha256'),
    );
    expect(new Set(before.map((key) => `sha256:${key.split('/')[2]}`))).toEqual(
      new Set([...blobs, ...(await manifests())]),
    );
  });

  it('keeps no object once no node holds the image', async () => {
    await fleet.node('n1').ctr.ok(['image', 'rm', '--sync', reference]);
    expect(await run('n2')).toBe(`${LAYER_BYTES} /file\n`);
    await fleet.node('n2').ctr.ok(['image', 'rm', '--sync', reference]);
    const isBuried = async () => (await queryFleet(fleet, 'SELECT FROM content.blobs')).length === 0;
    expect(await waitUntil(isBuried, 10_000)).toBe(true);
    expect(await stored()).not.toEqual([]);
    // As when the last URL has run out; whoever leads next begins with what is due.
    await queryFleet(fleet, `UPDATE content.tombstones SET created_at = created_at - interval '1 h'`);
    await fleet.controlPlane.kill('content', 1);
    expect(await waitUntil(async () => (await stored()).length === 0, 30_000)).toBe(true);
  });
});

/** What the registry does not give as a blob. */
async function manifests(): Promise<string[]> {
  const rows = await queryFleet<{ target_digest: string }>(fleet, 'SELECT target_digest FROM image.images');
  return rows.map(({ target_digest }) => target_digest);
}
