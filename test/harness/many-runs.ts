import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Fleet } from './fleet.ts';
import { repeated, type StoredEvent, storedEvents } from './stored-events.ts';
import type { TestNode } from './test-node.ts';
import { waitUntil } from './wait-until.ts';

/** One `ctr run --rm` that has ended. Times are of `performance.now()`. */
export interface Run {
  id: string;
  node: TestNode;
  code: number;
  stdout: string;
  stderr: string;
  beganMs: number;
  endedMs: number;
}

export interface ManyRunsOptions {
  nodes: readonly TestNode[];
  image: string;
  /** Names the runs: `<prefix>-1`, … */
  prefix: string;
  /** Under way at a time. Default 8. */
  parallel?: number;
  /** How many there are at least. */
  atLeast: number;
  /** What happens meanwhile; runs go on until it is over. `ended` resolves when so many have ended. */
  meanwhile(ended: (count: number) => Promise<void>): Promise<void>;
}

/** Whoever is refused does not ask again at once. */
const AFTER_FAILURE_MS = 200;

/** Runs containers on the nodes in turn, each of which says once that it ran. */
export async function manyRuns(options: ManyRunsOptions): Promise<Run[]> {
  const { nodes, image, prefix, parallel = 8, atLeast, meanwhile } = options;
  const runs: Run[] = [];
  const waiting: { count: number; go: () => void }[] = [];
  let begun = 0;
  let isOver = false;
  const worker = async () => {
    while (begun < atLeast || !isOver) {
      const n = ++begun;
      const node = nodes[n % nodes.length]!;
      const id = `${prefix}-${n}`;
      const beganMs = performance.now();
      const result = await node.ctr.run(['run', '--rm', image, id, 'echo', 'ran']);
      runs.push({ id, node, beganMs, endedMs: performance.now(), ...result });
      for (const { count, go } of waiting) if (runs.length >= count) go();
      if (result.code !== 0) await delay(AFTER_FAILURE_MS);
    }
  };
  const ended = (count: number) => new Promise<void>((go) => waiting.push({ count, go }));
  const events = meanwhile(ended).finally(() => {
    isOver = true;
  });
  await Promise.all([events, ...Array.from({ length: parallel }, worker)]);
  return runs;
}

/** What a client whose run has failed can still do, and does when it is told of it. */
export async function cleanUpAfter(id: string, { ctr }: TestNode): Promise<void> {
  await ctr.run(['task', 'rm', '-f', id]);
  await ctr.run(['container', 'rm', id]);
  await ctr.run(['snapshot', 'rm', id]);
}

/** Of a run that succeeded: these and no others. */
const LIFE = [
  '/containers/create',
  '/containers/delete',
  '/snapshot/prepare',
  '/snapshot/remove',
  '/tasks/create',
  '/tasks/delete',
  '/tasks/exit',
  '/tasks/start',
];

/**
 * What succeeded ran once, as its output and its events say; what failed ran once at most. `left` are ids of runs that
 * were not removed: `ctr` does not tell of that.
 */
export async function expectRunsOnce(
  fleet: Fleet,
  runs: readonly Run[],
  left: ReadonlySet<string> = new Set(),
): Promise<void> {
  const isGood = ({ id, code }: Run) => code === 0 && !left.has(id);
  const good = runs.filter(isGood);
  const bad = runs.filter((run) => !isGood(run));
  let events: StoredEvent[] = [];
  const topicsOf = ({ id }: Run) =>
    events.flatMap(({ about, topic }) => (about === id ? [topic] : [])).sort();
  await waitUntil(async () => {
    events = await storedEvents(fleet);
    return good.every((run) => topicsOf(run).length >= LIFE.length);
  }, 30_000);
  expect(repeated(events)).toEqual([]);
  for (const run of good) expect(topicsOf(run)).toEqual(LIFE);
  // Under load ctr 1.6 may end before it has read the last output, with containerd too; but never does it read it twice.
  for (const { stdout } of runs) expect(stdout).toMatch(/^(ran\n)?$/);
  for (const run of bad) {
    expect(topicsOf(run).filter((topic) => topic === '/tasks/start').length).toBeLessThan(2);
  }
}
