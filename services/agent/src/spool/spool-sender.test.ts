import { create } from '@bufbuild/protobuf';
import { createLogger } from '@longshore/kit';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { EventSpool, type SpoolEntry, type SpoolEvent } from './event-spool.ts';
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

function recordTopics(...topics: string[]): void {
  for (const topic of topics) spool.record({ id: topic, envelope: create(EnvelopeSchema, { topic }) });
}

type Options = Partial<SpoolSenderOptions>;

/** The places are the spool's own sequences. */
const placesOf = (entries: SpoolEntry[]) => entries.map(({ sequence }) => BigInt(sequence));

function start(
  append: (events: SpoolEntry[], signal: AbortSignal) => Promise<unknown>,
  options: Options = {},
): SpoolSender {
  const retry = { initialDelayMs: 1, maxDelayMs: 5, attempts: Number.POSITIVE_INFINITY };
  const sender = new SpoolSender({
    spool,
    append: (entries, _after, signal) => append(entries, signal).then(() => ({ places: placesOf(entries) })),
    check: async () => ({ stored: true, first: 0n }),
    log: createLogger('test', 'silent'),
    retry,
    ...options,
  });
  senders.push(sender);
  sender.start();
  return sender;
}

const ids = (events: SpoolEvent[]) => events.map(({ id }) => id);

describe('SpoolSender', () => {
  it('sends no more at once than a call can carry, and all of it', async () => {
    const value = new Uint8Array(512 * 1024);
    const sent: string[] = [];
    const sizes: number[] = [];
    for (let n = 0; n < 40; n++)
      spool.record({ id: `${n}`, envelope: create(EnvelopeSchema, { event: { value } }) });
    start(async (entries) => {
      sent.push(...entries.map(({ id }) => id));
      sizes.push(entries.length * value.length);
    });
    await vi.waitFor(() => expect(sent).toHaveLength(40));
    expect(sent).toEqual(Array.from({ length: 40 }, (_, n) => `${n}`));
    expect(Math.max(...sizes)).toBeLessThan(8 * 1024 ** 2);
  });

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

  it('sends an exit at once, with what came before it', async () => {
    let hasLingered = false;
    const calls: { topics: string[]; hasLingered: boolean }[] = [];
    start(async (events) => {
      calls.push({ topics: events.map(({ envelope }) => envelope.topic), hasLingered });
      await new Promise((resolve) => setImmediate(resolve));
    });
    // The sender looks for what is there before it waits for more.
    await new Promise((resolve) => setImmediate(resolve));
    // As long as others may wait for company, and begun earlier than that would be.
    setTimeout(() => {
      hasLingered = true;
    }, 100);
    recordTopics('/tasks/create', '/tasks/start', '/tasks/exit');
    await expect.poll(() => calls, { interval: 1 }).toHaveLength(1);
    expect(calls).toEqual([{ topics: ['/tasks/create', '/tasks/start', '/tasks/exit'], hasLingered: false }]);
    await expect.poll(() => spool.unsent(1)).toEqual([]);
  });

  it('sends in one call what comes together', async () => {
    const calls: string[][] = [];
    start(async (events) => void calls.push(events.map(({ envelope }) => envelope.topic)));
    await new Promise((resolve) => setImmediate(resolve));
    recordTopics('/tasks/create');
    await new Promise((resolve) => setImmediate(resolve));
    recordTopics('/tasks/start');
    await expect.poll(() => spool.unsent(1)).toEqual([]);
    expect(calls).toEqual([['/tasks/create', '/tasks/start']]);
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

  it('sends again, in order, what the stream has lost', async () => {
    const sent: string[][] = [];
    let stored = true;
    const append = async (events: SpoolEvent[]) => {
      sent.push(ids(events));
      stored = true;
    };
    record('a', 'b', 'c');
    start(append, { checkEveryMs: 20, check: async () => ({ stored, first: 2n }) });
    await expect.poll(() => sent).toEqual([['a', 'b', 'c']]);
    stored = false;
    await expect
      .poll(() => sent)
      .toEqual([
        ['a', 'b', 'c'],
        ['b', 'c'],
      ]);
  });

  it('sends what was lost before what is new', async () => {
    const sent: string[][] = [];
    const lost = new Set<string>();
    record('a', 'b');
    start(async () => undefined, {
      append: async (entries, after) => {
        if (after && lost.delete(after.id)) return { lostFrom: 2n };
        sent.push(ids(entries));
        return { places: placesOf(entries) };
      },
    });
    await expect.poll(() => sent).toEqual([['a', 'b']]);
    lost.add('b');
    record('c');
    await expect
      .poll(() => sent)
      .toEqual([
        ['a', 'b'],
        ['b', 'c'],
      ]);
  });

  it('does not take what the stream dropped because of its age for lost', async () => {
    const checks: bigint[] = [];
    let sent = 0;
    record('a');
    start(async () => void sent++, {
      checkEveryMs: 5,
      check: async (_, place) => ({ stored: false, first: BigInt(checks.push(place)) + 100n }),
    });
    await expect.poll(() => checks.length).toBeGreaterThan(3);
    expect(sent).toBe(1);
  });

  it('goes on when what was sent cannot be forgotten', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const prune = vi.spyOn(spool, 'prune').mockImplementation(() => {
      throw new Error('database or disk is full');
    });
    const sent: string[] = [];
    start(async (events) => void sent.push(...ids(events)));
    vi.advanceTimersByTime(24 * 3_600_000);
    expect(prune).toHaveBeenCalled();
    record('a');
    await expect.poll(() => sent).toEqual(['a']);
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
