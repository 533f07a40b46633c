import { randomBytes } from 'node:crypto';
import { makeBusyboxImage } from '@longshore/local';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { Ctr } from '../../harness/ctr.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { tracesOf } from '../../harness/fleet-traces.ts';
import { cleanUpAfter, expectRunsOnce, manyRuns } from '../../harness/many-runs.ts';
import { repeated, storedEvents } from '../../harness/stored-events.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const HEALING_MS = 20_000;
const FRESH_LAYER_BYTES = 2 * 1024 * 1024;

/** Ids of all events that the services have ever written down. */
async function recordedIds({ databaseUrl }: Fleet): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const schemas = ['content', 'image', 'snapshot', 'runtime'];
    const sql = schemas.map((schema) => `SELECT id::text FROM ${schema}.outbox`).join(' UNION ALL ');
    return (await client.query<{ id: string }>(sql)).rows.map(({ id }) => id);
  } finally {
    await client.end();
  }
}

/** Faults of what the control plane keeps its state in; `image` is on all nodes. */
export function storeFaults(theFleet: () => Fleet, image: () => string): void {
  describe('Postgres, restarted with its connections cut during runs,', () => {
    it('makes them unavailable for a moment and heals by itself; no event is lost or twice', async () => {
      const fleet = theFleet();
      let restartedMs = 0;
      let healedMs = 0;
      const works = async () =>
        (await fleet.nodes[0]!.ctr.run(['namespaces', 'create', 'healed'])).code === 0;
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image(),
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
      await expectRunsOnce(fleet, runs);
      for (const run of runs) {
        if ((await tracesOf(fleet)).some(({ id }) => id === run.id)) await cleanUpAfter(run.id, run.node);
      }
      expect(await tracesOf(fleet)).toEqual([]);
    }, 180_000);
  });

  describe('NATS', () => {
    it('restarted during runs fails none of them, and gets each event once', async () => {
      const fleet = theFleet();
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image(),
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
      const before = (await storedEvents(fleet)).map(({ id }) => id);
      expect(before.length).toBeGreaterThan(100);
      await fleet.stores.loseNatsData();
      const startMs = performance.now();
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image(),
        prefix: 'lost',
        atLeast: 4,
        parallel: 2,
        meanwhile: async () => undefined,
      });
      expect(runs.filter(({ code }) => code !== 0)).toEqual([]);
      let missing: string[] = [];
      const isWhole = async () => {
        const events = await storedEvents(fleet).catch(() => []);
        const stored = new Set(events.map(({ id }) => id));
        missing = [...before, ...(await recordedIds(fleet))].filter((id) => !stored.has(id));
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
    it('fails pulls with a clear status; what runs and what nodes have goes on; heals without a hand', async () => {
      const fleet = theFleet();
      const [n1, n2] = fleet.nodes;
      const layers = [[{ path: 'f', type: 'file' as const, content: randomBytes(FRESH_LAYER_BYTES) }]];
      const fresh = await fleet.push('test/fresh', '1', await makeBusyboxImage({ layers }));
      await n2!.ctr.ok(['run', '-d', image(), 'steady', 'sleep', '1000']);
      await fleet.stores.hideBlobs();
      let pull: Awaited<ReturnType<Ctr['run']>>;
      try {
        pull = await n1!.ctr.run(['image', 'pull', '--plain-http', fresh]);
        console.log(`blob store away: ${pull.stderr.trim().split('\n').at(-1)}`);
        expect(await n2!.ctr.ok(['run', '--rm', image(), 'unaware', 'echo', 'ran'])).toBe('ran\n');
        expect(await n2!.ctr.ok(['task', 'exec', '--exec-id', 'e', 'steady', 'echo', 'in'])).toBe('in\n');
      } finally {
        await fleet.stores.showBlobs();
      }
      expect(pull.code).not.toBe(0);
      expect(pull.stderr).toMatch(/unavailable/i);
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
