import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GrpcCode } from '@longshore/errors';
import { makeBusyboxImage } from '@longshore/local';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { createClient } from '@longshore/rpc';
import { describe, expect, it } from 'vitest';
import { nodeStates } from '../../harness/cut-off.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { tracesOf } from '../../harness/fleet-traces.ts';
import { expectRunsOnce, manyRuns } from '../../harness/many-runs.ts';
import { storedEvents } from '../../harness/stored-events.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const LAYER_BYTES = 8 * 1024 * 1024;
/** A certificate must be good on a machine whose clock is this far behind. */
const BACKDATED_MS = 30 * 60_000;

const PROCESS = {
  typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  value: Buffer.from(JSON.stringify({ args: ['true'], cwd: '/', user: { uid: 0, gid: 0 } })),
};

/** `n1`'s clock is fast and `n2`'s slow, by minutes; `n2` has a disk of its own. `image` is on both. */
export function diskAndClockFaults(theFleet: () => Fleet, image: () => string): void {
  describe('nodes whose clocks are minutes apart', () => {
    it('join, stay ready, run, and report in order', async () => {
      const fleet = theFleet();
      const runs = await manyRuns({
        nodes: fleet.nodes,
        image: image(),
        prefix: 'clock',
        atLeast: 8,
        parallel: 2,
        meanwhile: async () => undefined,
      });
      expect(runs.filter(({ code }) => code !== 0)).toEqual([]);
      await expectRunsOnce(fleet, runs);
      const events = await storedEvents(fleet);
      for (const { id } of runs) {
        const tasks = events.filter(({ about, topic }) => about === id && topic.startsWith('/tasks/'));
        expect(tasks.map(({ topic }) => topic)).toEqual([
          '/tasks/create',
          '/tasks/start',
          '/tasks/exit',
          '/tasks/delete',
        ]);
      }
      expect(await nodeStates(fleet)).toEqual({ n1: 'ready', n2: 'ready' });
      expect(events.filter(({ topic }) => topic === '/nodes/unreachable')).toEqual([]);
    });

    it('hold certificates that are good by their own clocks', () => {
      for (const node of theFleet().nodes) {
        const pem = readFileSync(node.path(join(node.root, 'identity/node.crt')));
        const { validFrom } = new X509Certificate(pem);
        expect(Date.now() - Date.parse(validFrom)).toBeGreaterThan(BACKDATED_MS);
      }
    });
  });

  describe('a node whose disk is full', () => {
    it('refuses pulls and runs for want of space, and is named; others do not notice, and nothing half-done stays', async () => {
      const fleet = theFleet();
      const [n1, n2] = [fleet.node('n1'), fleet.node('n2')];
      const layers = [[{ path: 'f', type: 'file' as const, content: randomBytes(LAYER_BYTES) }]];
      const fresh = await fleet.push('test/fresh', '1', await makeBusyboxImage({ layers }));
      await n2.ctr.ok(['run', '-d', image(), 'steady', 'sleep', '1000']);
      const fill = join(n2.root, 'fill');
      await n2.exec(['sh', '-c', `dd if=/dev/zero of=${fill} bs=64k; true`]);
      const pull = await n2.ctr.run(['image', 'pull', '--plain-http', fresh]);
      const run = await n2.ctr.run(['run', '--rm', image(), 'full', 'echo', 'ran']);
      const elsewhere = await n1.ctr.run(['image', 'pull', '--plain-http', fresh]);
      const headers = { [Header.Namespace]: 'default' };
      const edge = await fleet.gateway('operator');
      const exec = { containerId: 'steady', execId: 'full', spec: PROCESS };
      const executed = await createClient(Tasks, edge)
        .exec(exec, { headers: { ...headers, [Header.Node]: 'n2' } })
        .catch((error: unknown) => error);
      const rollOut = { reference: fresh, nodes: ['n1', 'n2'], plainHttp: true };
      const told = await Array.fromAsync(createClient(FleetService, edge).pull(rollOut, { headers }));
      edge.close();
      const killed = await n2.ctr.run(['task', 'kill', '-s', 'KILL', 'steady']);
      await n2.exec(['rm', fill]);

      console.log(`disk full: pull: ${pull.stderr.trim().split('\n').at(-1)}`);
      console.log(`disk full: run: ${run.code} ${run.stderr.trim()}`);
      expect(pull.code).not.toBe(0);
      expect(pull.stderr).toMatch(/no space left/i);
      expect(elsewhere.code).toBe(0);
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(/no space left|disk is full/i);
      const message = expect.stringMatching(/^node "n2": [^"]*disk is full/);
      expect(executed).toMatchObject({ kind: 'ResourceExhausted', message });
      const error = expect.stringMatching(/^node "n2": layer entry "f": .*no space left/);
      expect(told.at(-1)?.nodes).toMatchObject([
        { node: 'n1', code: GrpcCode.OK },
        { node: 'n2', code: GrpcCode.ResourceExhausted, error },
      ]);
      // What runs can be ended, and its end is reported once there is space again.
      expect(killed.code).toBe(0);
      const exits = async () =>
        (await storedEvents(fleet)).filter(
          ({ about, topic }) => about === 'steady' && topic === '/tasks/exit',
        );
      expect(await waitUntil(async () => (await exits()).length > 0, 20_000)).toBe(true);
      expect(await exits()).toHaveLength(1);

      await n2.ctr.ok(['image', 'pull', '--plain-http', fresh]);
      for (const { ctr } of fleet.nodes) {
        expect(await ctr.ok(['run', '--rm', fresh, 'again', 'wc', '-c', '/f'])).toContain(
          String(LAYER_BYTES),
        );
      }
      await n2.ctr.ok(['task', 'rm', '-f', 'steady']);
      await n2.ctr.ok(['container', 'rm', 'steady']);
      expect(await tracesOf(fleet)).toEqual([]);
    }, 120_000);
  });
}
