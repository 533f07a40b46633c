import { setTimeout as delay } from 'node:timers/promises';
import type { TestNode } from './test-node.ts';

const EXIT_CODE = 3;
/** It is to be there all the while, not to keep the machine busy. */
const PAUSE_MS = 200;

/** A node that must not notice what happens to another. */
export interface Bystander {
  /** Ends it; answers how many runs there were, and what the failed ones said. */
  stop(): Promise<{ runs: number; failures: string[] }>;
}

/** Runs one container after another on a node until it is stopped; at least one whole run falls in between. */
export function runAllTheWhile({ id, ctr }: TestNode, image: string): Bystander {
  let isOver = false;
  let runs = 0;
  const failures: string[] = [];
  const running = (async () => {
    do {
      runs += 1;
      // By its exit code, which only the container can make: ctr 1.6 loses output now and then.
      const { code, stderr } = await ctr.run([
        'run',
        '--rm',
        image,
        `by-${id}-${runs}`,
        'sh',
        '-c',
        `exit ${EXIT_CODE}`,
      ]);
      if (code !== EXIT_CODE) failures.push(`run ${runs}: exit ${code}: ${stderr}`);
      if (!isOver) await delay(PAUSE_MS);
    } while (!isOver);
  })();
  return {
    async stop() {
      isOver = true;
      await running;
      return { runs, failures };
    },
  };
}
