import { describe, expect, it } from 'vitest';
import { MessageQueue } from './message-queue.ts';

describe('MessageQueue', () => {
  it('lets its connection go on when its reader leaves it full, or never came', () => {
    let paused = 0;
    const queue = new MessageQueue<number>({ pause: () => paused++, resume: () => paused-- });
    for (let n = 0; paused === 0; n++) queue.push(n);
    queue.end();
    expect(paused).toBe(1);
    queue.discard();
    expect(paused).toBe(0);
  });
});
