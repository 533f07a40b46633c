import { describe, expect, it } from 'vitest';
import { CleanUpQueue } from './clean-up-queue.ts';

/** Clean-ups that end when they are told to. */
function controlled(queue: CleanUpQueue, names: string[]) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  for (const name of names) {
    queue.add(name, async () => {
      begun.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    });
  }
  return { begun, end: (name: string) => ends.get(name)!() };
}

describe('CleanUpQueue', () => {
  it('runs a few at a time, in order, and knows what is left', async () => {
    const queue = new CleanUpQueue(2);
    const { begun, end } = controlled(queue, ['a', 'b', 'c']);
    expect(begun).toEqual(['a', 'b']);
    const done = queue.done('b');
    end('b');
    await done;
    expect(queue.keys()).toEqual(['a', 'c']);
    expect(begun).toEqual(['a', 'b', 'c']);
    await queue.done('b');
  });

  it('goes on with what somebody waits for', async () => {
    const queue = new CleanUpQueue(1);
    const { begun, end } = controlled(queue, ['a', 'b', 'c']);
    const done = queue.done('c');
    end('a');
    await expect.poll(() => begun).toEqual(['a', 'c']);
    expect(queue.has('c')).toBe(true);
    end('c');
    await done;
    expect(queue.has('c')).toBe(false);
  });

  it('begins nothing after its end, which waits for what is under way', async () => {
    const queue = new CleanUpQueue(1);
    const { begun, end } = controlled(queue, ['a', 'b']);
    const closed = queue.close();
    end('a');
    await closed;
    expect(begun).toEqual(['a']);
    expect(queue.keys()).toEqual(['b']);
  });
});
