import { randomBytes } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Channel, createClient } from '@longshore/client';
import { makeBusyboxImage } from '@longshore/local';
import { hostPlatform } from '@longshore/oci';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import { Header } from '@longshore/proto/headers';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fleet, startFleet } from '../harness/fleet.ts';
import type { TestNode } from '../harness/test-node.ts';

const LAYERS = 4;
/** Random, so that it does not shrink: together more than 100 MB go over the wire. */
const LAYER_BYTES = 26 * 1024 * 1024;
const inDefault = { headers: { [Header.Namespace]: 'default' } };

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet({ nodes: 3 });
});
afterAll(() => fleet?.close());

async function freshImage(name: string, layerBytes = LAYER_BYTES) {
  const layers = Array.from({ length: LAYERS }, (_, n) => [
    { path: `file-${n}`, type: 'file' as const, content: randomBytes(layerBytes) },
  ]);
  const image = await makeBusyboxImage({ layers });
  const reference = await fleet.push(`fleet/${name}`, '1', image);
  fleet.forgetRegistryRequests();
  return { reference, blobs: [...image.blobs.keys()] };
}

function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return { typeUrl: schema.typeName, value: toBinary(schema, create(schema, init)) };
}

async function transfer({ socket }: TestNode, reference: string): Promise<void> {
  const { os, architecture, variant = '' } = hostPlatform();
  const store = {
    name: reference,
    platforms: [{ os, architecture, variant }],
    unpacks: [{ snapshotter: 'overlayfs' }],
  };
  const channel = new Channel(`unix://${socket}`);
  try {
    await createClient(Transfer, channel).transfer(
      {
        source: any(OCIRegistrySchema, { reference, resolver: { defaultScheme: 'http' } }),
        destination: any(ImageStoreSchema, store),
      },
      inDefault,
    );
  } finally {
    channel.close();
  }
}

/** Digests of the blobs that the registry sent, as often as it did. */
function fetched(): string[] {
  return fleet
    .registryRequests()
    .filter(({ method }) => method === 'GET')
    .flatMap(({ path }) => /\/blobs\/(sha256:[0-9a-f]+)/.exec(path)?.[1] ?? []);
}

function runsOn({ ctr, id }: TestNode, reference: string): Promise<string> {
  return ctr.ok(['run', '--rm', reference, `run-${id}`, 'wc', '-c', '/file-0', '/file-3']);
}

describe('an image for several nodes', () => {
  it('is fetched once when they all transfer it at the same moment', async () => {
    const { reference, blobs } = await freshImage('together');
    await Promise.all(fleet.nodes.map((node) => transfer(node, reference)));
    expect(fetched().sort()).toEqual([...blobs].sort());
    for (const node of fleet.nodes) expect(await runsOn(node, reference)).toContain(`${LAYER_BYTES} /file-3`);
  });

  it('is rolled out to chosen nodes, and reported for each', async () => {
    const { reference, blobs } = await freshImage('rolled-out');
    const gateway = await fleet.gateway('operator');
    try {
      const request = { reference, nodes: ['n1', 'n2', 'nobody'], plainHttp: true };
      const told = await Array.fromAsync(createClient(FleetService, gateway).pull(request, inDefault));
      expect(told.at(-1)?.nodes).toMatchObject([
        { node: 'n1', done: true, error: '' },
        { node: 'n2', done: true, error: '' },
        { node: 'nobody', done: true, code: 5 },
      ]);
      // Nothing of the base layer, which the fleet had.
      expect(new Set(fetched()).size).toBe(fetched().length);
      expect(fetched().length).toBe(blobs.length - 1);
    } finally {
      gateway.close();
    }
    for (const id of ['n1', 'n2']) await runsOn(fleet.node(id), reference);

    fleet.forgetRegistryRequests();
    await fleet.node('n3').ctr.ok(['image', 'pull', '--plain-http', reference]);
    expect(fetched()).toEqual([]);
    await runsOn(fleet.node('n3'), reference);
  });
});
