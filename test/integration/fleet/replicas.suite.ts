import { randomBytes } from 'node:crypto';
import { CONTROL_SERVICES, type ControlService, makeBusyboxImage } from '@longshore/local';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Channel, createClient } from '@longshore/rpc';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { listenToEvents } from '../../harness/event-listener.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { tracesOf } from '../../harness/fleet-traces.ts';
import { cleanUpAfter, expectRunsOnce, manyRuns, type Run } from '../../harness/many-runs.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const FRESH_LAYER_BYTES = 8 * 1024 * 1024;
const TAKE_OVER_MS = 30_000;

export interface OnAllNodes {
  reference: string;
  /** A large blob of another image, on `n1`. */
  bigLayer: string;
  bigLayerBytes: number;
}

/** When something was killed, by `performance.now()`: before, and when it was gone. */
type Kill = { fromMs: number; untilMs: number };

const failed = (runs: readonly Run[]) => runs.filter(({ code }) => code !== 0);

/** Faults of one of two replicas of each service. */
export function replicaFaults(theFleet: () => Fleet, theImage: () => OnAllNodes): void {
  async function stopEach(signal: NodeJS.Signals, services: readonly ControlService[], replica: number) {
    const fromMs = performance.now();
    await Promise.all(services.map((service) => theFleet().controlPlane.kill(service, replica, signal)));
    return { fromMs, untilMs: performance.now() };
  }

  async function whenReady(replica: number): Promise<void> {
    await Promise.all(CONTROL_SERVICES.map((each) => theFleet().controlPlane.whenReady(each, replica)));
  }

  describe('a replica of each service', () => {
    it('is killed during 100 runs: only what was under way fails, as unavailable, and nothing runs twice', async () => {
      const fleet = theFleet();
      const kills: Kill[] = [];
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: theImage().reference,
        prefix: 'killed',
        atLeast: 100,
        async meanwhile(ended) {
          for (const [index, service] of CONTROL_SERVICES.entries()) {
            await ended(10 * (index + 1));
            kills.push(await stopEach('SIGKILL', [service], 1));
          }
          await whenReady(1);
          kills.push(await stopEach('SIGKILL', CONTROL_SERVICES, 1));
        },
      });
      console.log(`${kills.length} kills: ${failed(runs).length} of ${runs.length} runs failed`);
      const wasUnderWay = (run: Run) =>
        kills.some(({ fromMs, untilMs }) => run.beganMs < untilMs && run.endedMs > fromMs);
      for (const run of failed(runs)) {
        expect(run.stderr).toMatch(/service \\?"(content|image|snapshot|runtime)\\?".*unavailable/);
        expect(wasUnderWay(run)).toBe(true);
      }
      // Whoever was not under way at a kill has left nothing.
      const left = new Set((await tracesOf(fleet)).map(({ id }) => id));
      await expectRunsOnce(fleet, runs, left);
      const affected = runs.filter(wasUnderWay);
      expect([...left].filter((id) => !affected.some((run) => run.id === id))).toEqual([]);
      for (const run of affected) if (left.has(run.id)) await cleanUpAfter(run.id, run.node);
      expect(await tracesOf(fleet)).toEqual([]);
      await whenReady(1);
      for (const service of CONTROL_SERVICES) {
        expect(fleet.reports.join('\n')).toContain(`${service}-1 exited with signal SIGKILL`);
      }
    }, 240_000);

    it('is restarted in order during runs: none fails, and what streams goes on', async () => {
      const fleet = theFleet();
      const [n1] = fleet.nodes;
      const { reference, bigLayer, bigLayerBytes } = theImage();
      using events = await listenToEvents(n1!.ctr, 'topic=="/tasks/start"');
      const channel = new Channel(`unix://${n1!.socket}`);
      const headers = { 'containerd-namespace': 'default' };
      const read = createClient(Content, channel)
        .read({ digest: bigLayer }, { headers })
        [Symbol.asyncIterator]();
      let readBytes = 0;
      const readOn = async () => {
        const { value, done } = await read.next();
        readBytes += value?.data.length ?? 0;
        return done !== true;
      };
      const pullFresh = async (tag: string) => {
        const layers = [[{ path: tag, type: 'file' as const, content: randomBytes(FRESH_LAYER_BYTES) }]];
        const fresh = await fleet.push('test/fresh', tag, await makeBusyboxImage({ layers }));
        await n1!.ctr.ok(['image', 'pull', '--plain-http', fresh]);
      };
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: reference,
        prefix: 'restarted',
        parallel: 2,
        atLeast: 10,
        async meanwhile() {
          for (const replica of [1, 2]) {
            for (const service of CONTROL_SERVICES) {
              await readOn();
              const pulled = service === 'content' ? pullFresh(`restart-${replica}`) : undefined;
              await stopEach('SIGTERM', [service], replica);
              await pulled;
            }
            await whenReady(replica);
          }
        },
      });
      console.log(`12 restarts: ${failed(runs).length} of ${runs.length} runs failed`);
      expect(failed(runs).map(({ stderr }) => stderr)).toEqual([]);
      while (await readOn());
      channel.close();
      expect(readBytes).toBe(bigLayerBytes);
      await expectRunsOnce(fleet, runs);
      const onN1 = runs.filter(({ node }) => node === n1).length;
      expect(await waitUntil(() => events.lines().length >= onN1)).toBe(true);
      expect(events.lines()).toHaveLength(onN1);
      expect(await tracesOf(fleet)).toEqual([]);
    }, 240_000);

    // At the same time: most of it is waiting for terms to end.
    it.concurrent.each([
      ['runtime', 'nodes'],
      ['content', 'collection'],
      ['events', 'outbox/runtime/0'],
    ] as const)(
      'of %s that leads "%s" is killed: another takes over, with a higher term',
      async (service, name) => {
        const fleet = theFleet();
        const client = new pg.Client({ connectionString: fleet.databaseUrl });
        await client.connect();
        const leader = async () => {
          const sql = `SELECT term::int, holder FROM ${service}.leaders WHERE name = $1 AND expires_at > clock_timestamp()`;
          return (await client.query<{ term: number; holder: string }>(sql, [name])).rows[0];
        };
        try {
          const isLed = async () => (await leader()) !== undefined;
          expect(await waitUntil(isLed, TAKE_OVER_MS)).toBe(true);
          const before = await leader();
          // Some say their process, and some their address, which is the replica's.
          const pid = String(fleet.controlPlane.pid(service, 1));
          const isFirst = before!.holder.endsWith(` ${pid}`) || before!.holder.includes('10.77.0.1:');
          await fleet.controlPlane.kill(service, isFirst ? 1 : 2);
          const startMs = performance.now();
          const hasTakenOver = async () => ((await leader())?.term ?? 0) > before!.term;
          expect(await waitUntil(hasTakenOver, TAKE_OVER_MS)).toBe(true);
          expect((await leader())!.holder).not.toBe(before!.holder);
          const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
          console.log(`${service} "${name}": led again after ${seconds} s`);
        } finally {
          await client.end();
        }
      },
      60_000,
    );
  });
}
