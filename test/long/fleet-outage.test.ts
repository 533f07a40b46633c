import { setTimeout as delay } from 'node:timers/promises';
import { makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Fleet, startFleet } from '../harness/fleet.ts';
import { throughOutage } from '../harness/fleet-outage.ts';
import { readStream } from '../harness/stream-reader.ts';

const OUTAGE_MS = 10 * 60_000;

let fleet: Fleet;
let image: string;

beforeAll(async () => {
  fleet = await startFleet({ nodes: 3 });
  image = await fleet.push('test/busybox', '1', await makeBusyboxImage());
  for (const { ctr } of fleet.nodes) await ctr.ok(['image', 'pull', '--plain-http', image]);
});
afterAll(() => fleet?.close());

describe('a fleet whose control plane is stopped for ten minutes', () => {
  it('works on, and needs no human afterwards', async () => {
    await using events = await readStream({ ...fleet.local.stores.nats, url: fleet.stores.natsUrl });
    await throughOutage(fleet, image, events, () => delay(OUTAGE_MS));
  });
});
