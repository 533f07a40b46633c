import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { makeBusyboxImage, pushImage } from '@longshore/local';
import { encodedOf, hostPlatform } from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import { FLEET, Header } from '@longshore/proto/headers';
import { FleetService, PullResponse_Phase } from '@longshore/proto/longshore/image/v1/fleet';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const LAYER_BYTES = 2 * 1024 * 1024;
const { os, architecture, variant = '' } = hostPlatform();

let stack: Stack;
let node: Channel;
let image: Channel;
let runtime: Channel;

beforeAll(async () => {
  stack = await startStack();
  node = new Channel(`unix://${stack.socket}`);
  image = new Channel(`unix://${stack.state}/image.sock`);
  runtime = new Channel(`unix://${stack.state}/runtime.sock`);
});
afterAll(async () => {
  node?.close();
  image?.close();
  runtime?.close();
  await stack?.close();
});

/** A busybox with three layers of random bytes on top, that nobody has pulled yet. */
async function freshImage(name: string) {
  const layers = ['a', 'b', 'c'].map((file) => [
    { path: file, type: 'file' as const, content: randomBytes(LAYER_BYTES) },
  ]);
  const made = await makeBusyboxImage({ layers });
  const reference = await pushImage(stack.registry.host, `transfer/${name}`, '1', made);
  stack.registry.forgetRequests();
  return { reference, made };
}

const inNamespace = (namespace: string, signal?: AbortSignal) => ({
  headers: { [Header.Namespace]: namespace },
  signal,
});

function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return { typeUrl: schema.typeName, value: toBinary(schema, create(schema, init)) };
}

function transfer(reference: string, name = reference, namespace = 'default', signal?: AbortSignal) {
  const store = { name, platforms: [{ os, architecture, variant }], unpacks: [{ snapshotter: 'overlayfs' }] };
  const request = {
    source: any(OCIRegistrySchema, { reference }),
    destination: any(ImageStoreSchema, store),
  };
  return createClient(Transfer, node).transfer(request, inNamespace(namespace, signal));
}

/** How often each blob was asked for. */
function blobRequests(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { method, path } of stack.registry.requests()) {
    const digest = /\/blobs\/(sha256:[0-9a-f]+)/.exec(path)?.[1];
    if (method === 'GET' && digest) counts[digest] = (counts[digest] ?? 0) + 1;
  }
  return counts;
}

/** What a transfer holds while it is under way, in one namespace of the node. */
async function underWay(namespace: string): Promise<unknown[]> {
  const { statuses } = await createClient(Content, node).listStatuses({}, inNamespace(namespace));
  const { leases } = await createClient(Leases, node).list({}, inNamespace(namespace));
  const snapshots = await Array.fromAsync(
    createClient(Snapshots, node).list({ snapshotter: 'overlayfs' }, inNamespace(namespace)),
  );
  const extracting = snapshots.flatMap(({ info }) => info).filter(({ name }) => name.startsWith('extract-'));
  return [...statuses, ...leases, ...extracting];
}

describe('transfer.v1 of the node socket', () => {
  it('fetches each blob once for three at the same time, and leaves an image that runs', async () => {
    const { reference, made } = await freshImage('together');
    await Promise.all([
      transfer(reference),
      transfer(reference, 'second:1'),
      transfer(reference, reference, 'default'),
    ]);
    const expected = Object.fromEntries([...made.blobs.keys()].map((digest) => [digest, 1]));
    expect(await waitUntil(() => Object.keys(blobRequests()).length >= made.blobs.size)).toBe(true);
    expect(blobRequests()).toEqual(expected);
    expect(await stack.ctr.ok(['run', '--rm', reference, 'transferred', 'wc', '-c', '/a'])).toContain(
      String(LAYER_BYTES),
    );
    expect(await underWay('default')).toEqual([]);
  });

  it('links what another namespace of the node has', async () => {
    const { reference } = await freshImage('shared');
    await transfer(reference);
    const before = blobRequests();
    await transfer(reference, reference, 'other');
    expect(blobRequests()).toEqual(before);
    expect(await stack.ctr.ok(['images', 'check', '-q'], { namespace: 'other' })).toContain(reference);
  });

  it('leaves nothing when its caller goes away', async () => {
    const { reference } = await freshImage('given-up');
    const giveUp = new AbortController();
    const pulling = transfer(reference, reference, 'given-up', giveUp.signal);
    pulling.catch(() => undefined);
    expect(await waitUntil(async () => (await underWay('given-up')).length > 1)).toBe(true);
    giveUp.abort();
    await expect(pulling).rejects.toMatchObject({ kind: 'Canceled' });
    expect(await waitUntil(async () => (await underWay('given-up')).length === 0)).toBe(true);
    const { images } = await createClient(Images, node).list({}, inNamespace('given-up'));
    expect(images).toEqual([]);
    // Nobody has to wait for what was given up.
    await transfer(reference, reference, 'given-up');
  });
});

describe('a registry that has broken a blob', () => {
  it('fails the transfer, and leaves nothing of it', async () => {
    const { reference, made } = await freshImage('broken');
    const [digest, bytes] = [...made.blobs].find(([, blob]) => blob.length > LAYER_BYTES)!;
    const hex = encodedOf(digest);
    const file = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    await writeFile(join(stack.root, 'registry/data', file), randomBytes(bytes.length));
    await expect(transfer(reference, reference, 'broken')).rejects.toMatchObject({
      kind: 'DataLoss',
      message: expect.stringContaining(digest),
    });
    expect(await waitUntil(async () => (await underWay('broken')).length === 0)).toBe(true);
  });
});

describe('fleet pull', () => {
  const pull = async (request: object) =>
    Array.fromAsync(createClient(FleetService, image).pull(request, inNamespace('default')));

  it('fetches once, has the node take the image, and reports nodes that cannot', async () => {
    const { reference, made } = await freshImage('fleet');
    const { nodes } = await createClient(NodeService, runtime).list({});
    const nodeId = nodes[0]!.id;
    const responses = await pull({ reference, nodes: [nodeId, 'nobody'] });
    const last = responses.at(-1);
    expect(last?.phase).toBe(PullResponse_Phase.DONE);
    expect(last?.digest).toBe(made.root.digest);
    expect(last?.nodes).toMatchObject([
      { node: nodeId, done: true, error: '', code: 0 },
      { node: 'nobody', done: true, error: 'node "nobody": not found', code: 5 },
    ]);
    // The base layer was there already.
    const fresh = [...made.blobs.keys()].filter((digest) => digest in blobRequests());
    expect(fresh.length).toBe(4);
    expect(Object.values(blobRequests())).toEqual([1, 1, 1, 1]);
    expect(await stack.ctr.ok(['run', '--rm', reference, 'rolled-out', 'echo', 'hello'])).toBe('hello\n');
    const inFleet = { headers: { [Header.Namespace]: 'default', [Header.Node]: FLEET } };
    const recorded = await createClient(Images, image).get({ name: reference }, inFleet);
    expect(recorded.image?.target?.digest).toBe(made.root.digest);
  });
});
