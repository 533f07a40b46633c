import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../harness/fleet.ts';

/** How wrong each node's clock is, and how large `n2`'s own disk; `image` is on both. */
export interface Machines {
  clockOffsetMs: Record<string, number>;
  diskBytes: number;
  image: string;
}

const CLOCK_SLACK_MS = 120_000;

/** What makes a test's nodes machines of their own. */
export function separateMachines(theFleet: () => Fleet, theMachines: () => Machines): void {
  describe("a test's node", () => {
    it('has a name, a clock and a disk of its own', async () => {
      const { clockOffsetMs, diskBytes, image } = theMachines();
      for (const { id, ctr } of theFleet().nodes) {
        expect(await ctr.ok(['run', '--rm', image, 'hello', 'hostname'])).toBe(`${id}\n`);
        const [line = ''] = readFileSync(join(theFleet().state, `logs/agent-${id}.log`), 'utf8').split('\n');
        const aheadMs = Date.parse(JSON.parse(line).time) - Date.now();
        expect(Math.abs(aheadMs - clockOffsetMs[id]!)).toBeLessThan(CLOCK_SLACK_MS);
      }
      const n2 = theFleet().node('n2');
      const disk = await n2.exec(['df', '--output=size', '-B1', n2.root]);
      expect(Number(disk.split('\n')[1])).toBe(diskBytes);
    });

    it('sees nothing that is not its own', async () => {
      const { root, state } = theFleet();
      const seen = await theFleet().node('n1').exec(['ls', root, state]);
      expect(seen.split('\n').filter((line) => line !== '' && !line.endsWith(':'))).toEqual(['n1', 'n1']);
    });
  });
}
