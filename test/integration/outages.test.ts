import { afterAll, beforeAll, describe, it } from 'vitest';
import { type LosableStack, PARTS, startLosableStack } from '../harness/losable-stack.ts';
import { liveThrough } from '../harness/outage.ts';

let stack: LosableStack;

beforeAll(async () => {
  stack = await startLosableStack();
});
afterAll(() => stack?.close());

describe('tasks, while a part of the control plane is away for as long as they are worked with', () => {
  it.each(PARTS)('%s', async (name) => {
    await liveThrough(stack, name, 0);
  });
});
