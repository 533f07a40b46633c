import { setTimeout as delay } from 'node:timers/promises';
import { LongshoreError } from '@longshore/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RetryQueue } from './retry-queue.ts';

const FULL = new LongshoreError('ResourceExhausted', 'disk: full');

function queue(limits: { maxItems?: number; maxBytes?: number } = {}) {
  const disk = { isFull: true, poison: '', written: [] as string[], refused: [] as string[] };
  const made = new RetryQueue<string>({
    write(item) {
      if (disk.isFull) throw FULL;
      if (item === disk.poison) throw new Error('no such thing');
      disk.written.push(item);
    },
    sizeBytes: (item) => item.length,
    refused: (item) => disk.refused.push(item),
    retryMs: 1,
    maxItems: 10,
    maxBytes: 1_000,
    ...limits,
  });
  onTestFinished(() => made.close());
  return { queue: made, disk };
}

async function untilWritten(disk: { written: string[] }, items: string[]): Promise<void> {
  await expect.poll(() => disk.written, { timeout: 20_000 }).toEqual(items);
}

describe('RetryQueue', () => {
  it('writes what waited in its order once the disk takes it', async () => {
    const { queue: taken, disk } = queue();
    for (const item of ['a', 'b', 'c']) taken.put(item);
    disk.isFull = false;
    await untilWritten(disk, ['a', 'b', 'c']);
  });

  it('refuses what would be too many or too much, but has one item of any size wait', () => {
    const { queue: few } = queue({ maxItems: 2 });
    few.put('a');
    few.put('b');
    expect(() => few.put('c')).toThrow('disk: full');
    const { queue: small } = queue({ maxBytes: 4 });
    small.put('much too long');
    expect(() => small.put('c')).toThrow('disk: full');
  });

  it('drops an item that is refused for itself after it has waited, and goes on with the next', async () => {
    const { queue: taken, disk } = queue();
    disk.poison = 'b';
    for (const item of ['a', 'b', 'c']) taken.put(item);
    await delay(5);
    disk.isFull = false;
    await untilWritten(disk, ['a', 'c']);
    expect(disk.refused).toEqual(['b']);
  });

  it('throws what an item is refused for when it need not wait', () => {
    const { queue: taken, disk } = queue();
    Object.assign(disk, { isFull: false, poison: 'a' });
    expect(() => taken.put('a')).toThrow('no such thing');
  });
});
