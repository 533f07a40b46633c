import { afterAll, beforeAll, describe, it } from 'vitest';
import { type LosableStack, PARTS, startLosableStack } from '../harness/losable-stack.ts';
import { liveThrough } from '../harness/outage.ts';

const GAP_MS = 60_000;

let stack: LosableStack;

beforeAll(async () => {
  stack = await startLosableStack();
});
afterAll(() => stack?.close());

describe('tasks, while a part of the control plane is away for a minute', () => {
  it.each(PARTS)('%s', async (name) => {
    await liveThrough(stack, name, GAP_MS);
  });
});
