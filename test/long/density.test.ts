import { makeBusyboxImage, pushImage } from '@longshore/local';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { measureDensity } from '../bench/density.ts';
import { measureExits } from '../bench/exit-latency.ts';
import { type Stack, startStack } from '../harness/stack.ts';

let stack: Stack;
let busybox: string;

beforeAll(async () => {
  stack = await startStack({ env: { LONGSHORE_LOG_LEVEL: 'info' } });
  busybox = await pushImage(stack.registry.host, 'test/busybox', '1', await makeBusyboxImage());
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
// Counts what is left of all of them.
afterAll(() => stack?.close());

it('a node has 300 containers at once, each of which answers, outlives the agent, and goes', async () => {
  const density = await measureDensity(stack, busybox, { containers: 300, settleS: 15 });
  expect(density.kilobytesEach).toBeLessThanOrEqual(100);
  expect(density.knownAgainMs).toBeLessThanOrEqual(3_000);
});

it('a hundred ends on an idle machine are with subscribers at once', async () => {
  const latencies = await measureExits(stack, busybox, { exits: 100, idleS: 60 });
  expect(latencies.toSorted((a, b) => a - b)[98]).toBeLessThanOrEqual(30);
});
