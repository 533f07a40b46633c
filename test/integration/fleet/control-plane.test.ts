import { randomBytes } from 'node:crypto';
import { makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll } from 'vitest';
import { type Fleet, startFleet } from '../../harness/fleet.ts';
import { type OnAllNodes, replicaFaults } from './replicas.suite.ts';
import { storeFaults } from './stores.suite.ts';

/** More than all buffers on the way to a client that reads slowly. */
const BIG_LAYER_BYTES = 48 * 1024 * 1024;

let fleet: Fleet;
let image: OnAllNodes;

beforeAll(async () => {
  fleet = await startFleet({
    // What Postgres has answered must be there after it was killed.
    durable: true,
    nodeEnv: () => ({ LONGSHORE_SPOOL_CHECK_MS: '500' }),
  });
  const reference = await fleet.push('test/everywhere', '1', await makeBusyboxImage());
  await Promise.all(fleet.nodes.map(({ ctr }) => ctr.ok(['image', 'pull', '--plain-http', reference])));
  const layer = { path: 'big', type: 'file' as const, content: randomBytes(BIG_LAYER_BYTES) };
  const big = await makeBusyboxImage({ layers: [[layer]], gzip: false });
  const { ctr } = fleet.node('n1');
  await ctr.ok(['content', 'fetch', '--plain-http', await fleet.push('test/big', '1', big)]);
  const [bigLayer, bytes] = [...big.blobs].find(([, { length }]) => length > BIG_LAYER_BYTES)!;
  image = { reference, bigLayer, bigLayerBytes: bytes.length };
});
// Fails when anything is left.
afterAll(() => fleet?.close());

// One fleet for all: to start it costs more than most of them.
storeFaults(
  () => fleet,
  () => image,
);
replicaFaults(
  () => fleet,
  () => image,
);
