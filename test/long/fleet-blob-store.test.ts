import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind } from '@longshore/errors';
import { makeBusyboxImage } from '@longshore/local';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenBlobs } from '../harness/broken-blobs.ts';
import { type Fleet, startFleet } from '../harness/fleet.ts';
import { queryFleet } from '../harness/fleet-query.ts';
import { expectRunsOnce, manyRuns } from '../harness/many-runs.ts';
import { leftOfPulls } from '../harness/pull-leftovers.ts';
import type { TestNode } from '../harness/test-node.ts';
import { transferImage } from '../harness/transfer.ts';
import { waitUntil } from '../harness/wait-until.ts';

const OUTAGE_MS = 30_000;
const LAYER_BYTES = 32 * 1024 * 1024;
const inDefault = { headers: { [Header.Namespace]: 'default' } };

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet({ nodes: 3 });
});
// Fails when anything is left.
afterAll(() => fleet?.close());

interface Pushed {
  reference: string;
  /** Its largest layer, which no node has at hand by itself. */
  layer: string;
}

async function push(name: string): Promise<Pushed> {
  const layers = [[{ path: 'data', type: 'file' as const, content: randomBytes(LAYER_BYTES) }]];
  const image = await makeBusyboxImage({ layers, gzip: false });
  const [layer] = [...image.blobs].find(([, { length }]) => length > LAYER_BYTES)!;
  return { reference: await fleet.push(`long/${name}`, '1', image), layer };
}

function rollOut(gateway: Channel, reference: string) {
  const nodes = fleet.nodes.map(({ id }) => id);
  const request = { reference, nodes, plainHttp: true };
  return Array.fromAsync(createClient(FleetService, gateway).pull(request, inDefault));
}

async function readOn({ socket }: TestNode, { layer }: Pushed): Promise<number> {
  const channel = new Channel(`unix://${socket}`);
  try {
    let sizeBytes = 0;
    const parts = createClient(Content, channel).read({ digest: layer }, inDefault);
    for await (const { data } of parts) sizeBytes += data.length;
    return sizeBytes;
  } finally {
    channel.close();
  }
}

/** Resolves when a node has begun to fetch a blob. */
async function expectFetching({ id }: TestNode): Promise<void> {
  const sql = 'SELECT FROM content.ingests WHERE node = $1 AND linked_digest IS NULL AND total > $2';
  const isFetching = async () => (await queryFleet(fleet, sql, [id, LAYER_BYTES])).length > 0;
  expect(await waitUntil(isFetching)).toBe(true);
}

/** How it ended: `OK`, or with the word that its blobs cannot be had now, and no other. */
function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'OK',
    (error: unknown) => {
      expect(error).toSatisfy((thrown) => isKind(thrown, 'Unavailable'));
      return String(error);
    },
  );
}

describe('a fleet whose blob store is gone for half a minute', () => {
  it('runs what it has, says what is away, and needs no human afterwards', async () => {
    const [n1, n2, n3] = fleet.nodes as [TestNode, TestNode, TestNode];
    const known = await push('known');
    for (const { ctr } of fleet.nodes) await ctr.ok(['image', 'pull', '--plain-http', known.reference]);
    const fresh = {
      begun: await push('begun'),
      client: await push('client'),
      transfer: await push('transfer'),
      fleet: await push('fleet'),
    };
    const gateway = await fleet.gateway('operator');
    const expectReadsRefused = async () => {
      for (const node of fleet.nodes) {
        await expect(readOn(node, known)).rejects.toMatchObject({
          kind: 'Unavailable',
          message: expect.stringContaining('blob store'),
        });
      }
    };
    const runs = await manyRuns({
      nodes: fleet.nodes,
      image: known.reference,
      prefix: 'meanwhile',
      atLeast: 10,
      parallel: 2,
      async meanwhile() {
        const begun = outcomeOf(transferImage(n1.socket, fresh.begun.reference));
        await expectFetching(n1);
        await fleet.stores.hideBlobs();
        const client = n2.ctr.run(['image', 'pull', '--plain-http', fresh.client.reference]);
        const outcomes = Promise.all([
          begun,
          ...[n2, n3].map(({ socket }) => outcomeOf(transferImage(socket, fresh.transfer.reference))),
          outcomeOf(rollOut(gateway, fresh.fleet.reference)),
        ]);
        outcomes.catch(() => undefined);
        try {
          await expectReadsRefused();
          await delay(OUTAGE_MS);
          await expectReadsRefused();
        } finally {
          await fleet.stores.showBlobs();
        }
        console.log('begun before, two transfers, fleet pull:', await outcomes);
        // Clients of 1.6 take Unavailable for a reference that another writer has, and wait.
        expect(await client).toMatchObject({ code: 0 });
      },
    });
    console.log(`${runs.length} runs meanwhile`);
    expect(runs.filter(({ code }) => code !== 0)).toEqual([]);
    await expectRunsOnce(fleet, runs);

    for (const node of fleet.nodes) expect(await readOn(node, known)).toBeGreaterThan(LAYER_BYTES);
    const last = (await rollOut(gateway, fresh.fleet.reference)).at(-1);
    expect(last?.nodes.map(({ node, error }) => [node, error])).toEqual(
      fleet.nodes.map(({ id }) => [id, '']),
    );
    gateway.close();
    await transferImage(n3.socket, fresh.transfer.reference);
    for (const { reference } of Object.values(fresh)) {
      for (const { ctr } of fleet.nodes) {
        await ctr.ok(['image', 'pull', '--plain-http', reference]);
        expect(await ctr.ok(['run', '--rm', reference, 'after', 'wc', '-c', '/data'])).toContain(
          String(LAYER_BYTES),
        );
      }
    }
    expect(await brokenBlobs(fleet)).toEqual([]);
    await waitUntil(async () => (await leftOfPulls(fleet)).length === 0, 90_000);
    expect(await leftOfPulls(fleet)).toEqual([]);
  });
});
