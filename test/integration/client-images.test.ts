import { randomBytes } from 'node:crypto';
import { Client, type Progress } from '@longshore/client';
import { type Image, makeBusyboxImage, makeImage, pushImage } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ctr } from '../harness/ctr.ts';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const LAYER_BYTES = 1024 * 1024;
const SIDES = ['longshore', 'containerd'] as const;

let stack: Stack;
let peer: PeerContainerd;
const sides = new Map<string, { client: Client; ctr: Ctr }>();

beforeAll(async () => {
  [stack, peer] = await Promise.all([startStack(), startContainerd()]);
  for (const [name, { socket, ctr }] of Object.entries({ longshore: stack, containerd: peer })) {
    sides.set(name, { client: new Client(socket), ctr });
  }
});
afterAll(async () => {
  for (const { client } of sides.values()) client.close();
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
});

function layersOf(count: number) {
  return Array.from({ length: count }, (_, n) => [
    { path: `layer${n}`, type: 'file' as const, content: randomBytes(LAYER_BYTES) },
  ]);
}

async function pushed(name: string, image: Image): Promise<string> {
  const reference = await pushImage(stack.registry.host, `client/${name}`, '1', image);
  stack.registry.forgetRequests();
  return reference;
}

describe.each(SIDES)('images of %s', (name) => {
  const side = () => sides.get(name)!;
  /** Nothing of a transfer is left under way. */
  const leftovers = async () => ({
    ingests: (await side().client.content.statuses()).map(({ ref }) => ref),
    leases: await side().ctr.ok(['leases', 'ls', '-q']),
  });

  it('pulls, unpacks and records an image that runs, and tells how far it is', async () => {
    const { client, ctr } = side();
    const made = await makeBusyboxImage({ layers: layersOf(2) });
    const reference = await pushed(`run-${name}`, made);
    const pictures: Progress[] = [];
    const image = await client.pull(reference, {
      by: 'client',
      unpack: true,
      onProgress: (picture) => pictures.push(picture),
    });
    expect(image).toMatchObject({ name: reference, target: { digest: made.root.digest } });
    expect(await image.isUnpacked()).toBe(true);
    expect(await ctr.ok(['image', 'check', `name==${reference}`])).toMatch(/complete \(4\/4\).* true/);
    expect(await ctr.ok(['run', '--rm', reference, `run-${name}`, 'wc', '-c', '/layer1'])).toContain(
      `${LAYER_BYTES} /layer1`,
    );
    const last = pictures.at(-1)!;
    expect(last).toMatchObject({ phase: 'done', target: made.root.digest });
    expect(last.doneBytes).toBe(last.totalBytes);
    expect(last.totalBytes).toBeGreaterThan(2 * LAYER_BYTES);
    expect(last.blobs.filter(({ state }) => state === 'unpacked')).toHaveLength(3);
    expect(await leftovers()).toEqual({ ingests: [], leases: '' });
  });

  it('fetches nothing that is there already', async () => {
    const { client } = side();
    const reference = await pushed(`again-${name}`, makeImage({ layers: layersOf(1) }));
    await client.pull(reference, { by: 'client' });
    stack.registry.forgetRequests();
    const image = await client.pull(reference, { by: 'client', name: 'again', unpack: true });
    expect(await image.isUnpacked()).toBe(true);
    expect(stack.registry.requests().filter(({ path }) => path.includes('/blobs/'))).toEqual([]);
  });
});
