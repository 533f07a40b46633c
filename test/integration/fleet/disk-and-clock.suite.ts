import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeBusyboxImage } from '@longshore/local';
import { describe, expect, it } from 'vitest';
import { nodeStates } from '../../harness/cut-off.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { tracesOf } from '../../harness/fleet-traces.ts';
import { expectRunsOnce, manyRuns } from '../../harness/many-runs.ts';
import { storedEvents } from '../../harness/stored-events.ts';

const LAYER_BYTES = 8 * 1024 * 1024;
/** A certificate must be good on a machine whose clock is this far behind. */
const BACKDATED_MS = 30 * 60_000;

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
    it('refuses pulls and runs for want of space; others do not notice, and nothing half-done stays', async () => {
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
      const exec = await n2.ctr.run(['task', 'exec', '--exec-id', 'e', 'steady', 'echo', 'in']);
      await n2.exec(['rm', fill]);

      console.log(`disk full: pull: ${pull.stderr.trim().split('\n').at(-1)}`);
      console.log(`disk full: run: ${run.code} ${run.stderr.trim()}`);
      expect(pull.code).not.toBe(0);
      expect(pull.stderr).toMatch(/no space left/i);
      expect(elsewhere.code).toBe(0);
      expect(exec).toMatchObject({ code: 0, stdout: 'in\n' });
      if (run.code !== 0) expect(run.stderr).toMatch(/no space left|disk is full/i);

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
