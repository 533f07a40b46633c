import { randomBytes } from 'node:crypto';
import { makeBusyboxImage } from '@longshore/local';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Channel, createClient } from '@longshore/rpc';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../harness/fleet.ts';
import { tracesOf } from '../../harness/fleet-traces.ts';
import { cleanUpAfter, expectRunsOnce, manyRuns } from '../../harness/many-runs.ts';
import { repeated, storedEvents } from '../../harness/stored-events.ts';
import { waitUntil } from '../../harness/wait-until.ts';
import type { OnAllNodes } from './replicas.suite.ts';

const HEALING_MS = 20_000;
const FRESH_LAYER_BYTES = 2 * 1024 * 1024;

interface Recorded {
  id: string;
  topic: string;
}

/** All events that the services have ever written down. */
async function recorded({ databaseUrl }: Fleet): Promise<Recorded[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const schemas = ['content', 'image', 'snapshot', 'runtime'];
    const sql = schemas.map((schema) => `SELECT id::text, topic FROM ${schema}.outbox`).join(' UNION ALL ');
    return (await client.query<Recorded>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Faults of what the control plane keeps its state in. */
export function storeFaults(theFleet: () => Fleet, image: () => OnAllNodes): void {
  describe('Postgres, restarted with its connections cut during runs,', () => {
    it('makes them unavailable for a moment and heals by itself; no event is lost or twice', async () => {
      const fleet = theFleet();
      let restartedMs = 0;
      let healedMs = 0;
      const works = async () =>
        (await fleet.nodes[0]!.ctr.run(['namespaces', 'create', 'healed'])).code === 0;
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image().reference,
        prefix: 'postgres',
        atLeast: 24,
        parallel: 4,
        async meanwhile(ended) {
          await ended(4);
          await fleet.stores.restart('postgres');
          restartedMs = performance.now();
          expect(await waitUntil(works, HEALING_MS)).toBe(true);
          healedMs = performance.now();
          await ended(1);
        },
      });
      await fleet.nodes[0]!.ctr.ok(['namespaces', 'rm', 'healed']);
      const failed = runs.filter(({ code }) => code !== 0);
      const healing = Math.round(healedMs - restartedMs);
      console.log(
        `Postgres: ${failed.length} of ${runs.length} runs failed, healed ${healing} ms after it was back`,
      );
      for (const run of failed) expect(run.stderr).toMatch(/unavailable/i);
      expect(failed.filter(({ beganMs }) => beganMs > healedMs)).toEqual([]);
      expect(runs.filter(({ beganMs, code }) => code === 0 && beganMs > restartedMs)).not.toEqual([]);
      const left = new Set((await tracesOf(fleet)).map(({ id }) => id));
      for (const run of runs) if (left.has(run.id)) await cleanUpAfter(run.id, run.node);
      await expectRunsOnce(fleet, runs, left);
      expect(await tracesOf(fleet)).toEqual([]);
    }, 180_000);
  });

  describe('NATS', () => {
    it('restarted during runs fails none of them, and gets each event once', async () => {
      const fleet = theFleet();
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image().reference,
        prefix: 'nats',
        atLeast: 12,
        parallel: 4,
        async meanwhile(ended) {
          await ended(2);
          await fleet.stores.restart('nats');
        },
      });
      expect(runs.filter(({ code }) => code !== 0)).toEqual([]);
      await expectRunsOnce(fleet, runs);
    }, 180_000);

    it('that lost its data gets every event again, of before and after, once', async () => {
      const fleet = theFleet();
      const before: Recorded[] = await storedEvents(fleet);
      expect(before.length).toBeGreaterThan(100);
      await fleet.stores.loseNatsData();
      const startMs = performance.now();
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image().reference,
        prefix: 'lost',
        atLeast: 4,
        parallel: 2,
        meanwhile: async () => undefined,
      });
      expect(runs.filter(({ code }) => code !== 0)).toEqual([]);
      let missing: Recorded[] = [];
      const isWhole = async () => {
        const events = await storedEvents(fleet).catch(() => []);
        const stored = new Set(events.map(({ id }) => id));
        missing = [...before, ...(await recorded(fleet))].filter(({ id }) => !stored.has(id));
        return missing.length === 0;
      };
      await waitUntil(isWhole, 60_000);
      expect(missing).toEqual([]);
      console.log(`NATS: ${before.length} events again within ${Math.round(performance.now() - startMs)} ms`);
      expect(repeated(await storedEvents(fleet))).toEqual([]);
      await expectRunsOnce(fleet, runs);
    }, 180_000);
  });

  describe('the blob store, gone for some seconds,', () => {
    it('is named to readers, and pulls wait; what runs and what nodes have goes on; heals without a hand', async () => {
      const fleet = theFleet();
      const [n1, n2] = fleet.nodes;
      const { reference } = image();
      const layers = [[{ path: 'f', type: 'file' as const, content: randomBytes(FRESH_LAYER_BYTES) }]];
      const fresh = await fleet.push('test/fresh', '1', await makeBusyboxImage({ layers }));
      await n2!.ctr.ok(['run', '-d', reference, 'steady', 'sleep', '1000']);
      await fleet.stores.hideBlobs();
      // Clients of 1.6 take Unavailable for a reference that another writer has, and wait.
      const pull = n1!.ctr.ok(['image', 'pull', '--plain-http', fresh]);
      pull.catch(() => undefined);
      const channel = new Channel(`unix://${n1!.socket}`);
      const headers = { 'containerd-namespace': 'default' };
      const read = () =>
        Array.fromAsync(createClient(Content, channel).read({ digest: image().bigLayer }, { headers }));
      try {
        await expect(read()).rejects.toMatchObject({
          kind: 'Unavailable',
          message: expect.stringContaining('blob store'),
        });
        for (let n = 0; n < 3; n++) {
          await n2!.ctr.ok(['run', '--rm', reference, `unaware-${n}`, 'true']);
        }
        await n2!.ctr.ok(['task', 'exec', '--exec-id', 'e', 'steady', 'true']);
      } finally {
        await fleet.stores.showBlobs();
      }
      await pull;
      await read();
      channel.close();
      for (const { ctr } of fleet.nodes) {
        await ctr.ok(['image', 'pull', '--plain-http', fresh]);
        expect(await ctr.ok(['run', '--rm', fresh, 'healed', 'wc', '-c', '/f'])).toContain(
          String(FRESH_LAYER_BYTES),
        );
      }
      await n2!.ctr.ok(['task', 'rm', '-f', 'steady']);
      await n2!.ctr.ok(['container', 'rm', 'steady']);
      expect(await tracesOf(fleet)).toEqual([]);
    }, 120_000);
  });
}
