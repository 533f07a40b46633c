import { create } from '@bufbuild/protobuf';
import { createLogger } from '@longshore/kit';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventSpool, type SpoolEvent } from './event-spool.ts';
import { SpoolSender, type SpoolSenderOptions } from './spool-sender.ts';

let spool: EventSpool;
const senders: SpoolSender[] = [];

beforeEach(() => {
  spool = new EventSpool(':memory:');
});

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.close()));
  spool.close();
});

function record(...ids: string[]): void {
  for (const id of ids) spool.record({ id, envelope: create(EnvelopeSchema, {}) });
}

function start(append: SpoolSenderOptions['append']): SpoolSender {
  const retry = { initialDelayMs: 1, maxDelayMs: 5, attempts: Number.POSITIVE_INFINITY };
  const sender = new SpoolSender({ spool, append, log: createLogger('test', 'silent'), retry });
  senders.push(sender);
  sender.start();
  return sender;
}

const ids = (events: SpoolEvent[]) => events.map(({ id }) => id);

describe('SpoolSender', () => {
  it('sends what was there before it started, then what comes, in order', async () => {
    const sent: string[] = [];
    record('a', 'b');
    start(async (events) => {
      sent.push(...ids(events));
    });
    await expect.poll(() => sent).toEqual(['a', 'b']);
    record('c', 'd');
    await expect.poll(() => sent).toEqual(['a', 'b', 'c', 'd']);
    expect(spool.unsent(1)).toEqual([]);
  });

  it('sends the same events again until they are taken, and no later one before them', async () => {
    const calls: string[][] = [];
    record('a');
    start(async (events) => {
      calls.push(ids(events));
      if (calls.length < 4) throw new Error('not now');
    });
    await expect.poll(() => calls.length).toBeGreaterThan(1);
    record('b');
    await expect.poll(() => spool.unsent(1)).toEqual([]);
    expect(calls).toEqual([['a'], ['a'], ['a'], ['a'], ['b']]);
  });

  it('has one call under way at a time', async () => {
    let underWay = 0;
    let most = 0;
    start(async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
    });
    for (let i = 0; i < 2_000; i++) record(String(i));
    await expect.poll(() => spool.unsent(1)).toEqual([]);
    expect(most).toBe(1);
  });

  it('ends a call under way when it closes, and leaves its events unsent', async () => {
    const called = Promise.withResolvers<void>();
    record('a');
    const sender = start((_, signal) => {
      called.resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    await called.promise;
    await sender.close();
    expect(spool.unsent(1)).toHaveLength(1);
  });
});
