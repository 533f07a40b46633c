import { createLogger, type Scope } from '@longshore/kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CollectionScheduler } from './collection-scheduler.ts';
import type { CollectionResult } from './collector.ts';
import type { LedTerm } from './led-term.ts';

const A: Scope = { namespace: 'a', node: '_' };
const B: Scope = { namespace: 'b', node: '_' };
const NOTHING: CollectionResult = { removed: 0, events: [] };

/** Collections that end when the test says so. */
class Collections {
  readonly begun: Scope[] = [];
  readonly terms: (LedTerm | undefined)[] = [];
  readonly #ends: ((error?: Error) => void)[] = [];
  readonly scheduler = new CollectionScheduler(
    (scope, { term }) => this.#collect(scope, term),
    createLogger('content', 'silent'),
  );

  async end(error?: Error): Promise<void> {
    this.#ends.shift()?.(error);
    await vi.advanceTimersByTimeAsync(0);
  }

  #collect(scope: Scope, term: LedTerm | undefined): Promise<CollectionResult> {
    this.begun.push(scope);
    this.terms.push(term);
    return new Promise((resolve, reject) => {
      this.#ends.push((error) => (error ? reject(error) : resolve(NOTHING)));
    });
  }
}

let collections: Collections;

beforeEach(() => {
  vi.useFakeTimers();
  collections = new Collections();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('CollectionScheduler', () => {
  it('begins at once when asked to wait, and once more for those who ask while it runs', async () => {
    const first = collections.scheduler.run(A);
    await vi.advanceTimersByTimeAsync(0);
    const [second, third] = [collections.scheduler.run(A), collections.scheduler.run(A)];
    expect(second).toBe(third);
    await vi.advanceTimersByTimeAsync(0);
    expect(collections.begun).toEqual([A]);
    await collections.end();
    expect(await first).toBe(NOTHING);
    expect(collections.begun).toEqual([A, A]);
    await collections.end();
    expect(await second).toBe(NOTHING);
  });

  it('collects once for requests that come together, one scope after the other', async () => {
    for (const scope of [A, A, B]) collections.scheduler.request(scope);
    await vi.advanceTimersByTimeAsync(60);
    expect(collections.begun).toEqual([A]);
    await collections.end();
    expect(collections.begun).toEqual([A, B]);
  });

  it('rests after a long collection, but not for those who wait', async () => {
    collections.scheduler.request(A);
    await vi.advanceTimersByTimeAsync(60);
    await vi.advanceTimersByTimeAsync(1000);
    await collections.end();
    collections.scheduler.request(A);
    await vi.advanceTimersByTimeAsync(18_000);
    expect(collections.begun).toHaveLength(1);
    void collections.scheduler.run(A);
    await vi.advanceTimersByTimeAsync(0);
    expect(collections.begun).toHaveLength(2);
  });

  it('rests also after a short one, longer when there was nothing', async () => {
    for (let n = 0; n < 20; n++) {
      collections.scheduler.request(A);
      await vi.advanceTimersByTimeAsync(100);
      await collections.end();
    }
    expect(collections.begun).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(collections.begun).toHaveLength(2);
  });

  it('collects after a hundred writes', async () => {
    for (let n = 0; n < 99; n++) collections.scheduler.mutated(A);
    await vi.advanceTimersByTimeAsync(100);
    expect(collections.begun).toEqual([]);
    collections.scheduler.mutated(A);
    await vi.advanceTimersByTimeAsync(100);
    expect(collections.begun).toEqual([A]);
  });

  it('tries again after a failure, and tells those who wait', async () => {
    collections.scheduler.request(A);
    await vi.advanceTimersByTimeAsync(60);
    await collections.end(new Error('database: away'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(collections.begun).toHaveLength(2);
    const waiting = expect(collections.scheduler.run(A)).rejects.toThrow('database: away');
    await collections.end();
    await collections.end(new Error('database: away'));
    await waiting;
  });

  it('collects within the term that asks for it, unless a call asks as well', async () => {
    const term: LedTerm = { signal: new AbortController().signal, check: async () => undefined };
    collections.scheduler.request(A, 0, term);
    await vi.advanceTimersByTimeAsync(10);
    await collections.end();
    collections.scheduler.request(B, 0, term);
    collections.scheduler.request(B);
    await vi.advanceTimersByTimeAsync(10);
    expect(collections.begun).toEqual([A, B]);
    expect(collections.terms).toEqual([term, undefined]);
  });

  it('does not begin, nor try again, what a term asked for that is over', async () => {
    const over = new AbortController();
    const term: LedTerm = { signal: over.signal, check: async () => undefined };
    collections.scheduler.request(A, 0, term);
    await vi.advanceTimersByTimeAsync(10);
    collections.scheduler.request(B, 0, term);
    over.abort();
    await collections.end(new Error('term is over'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(collections.begun).toEqual([A]);
    collections.scheduler.request(A);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(collections.terms).toEqual([term, undefined]);
  });

  it('begins nothing more once it is closed', async () => {
    collections.scheduler.request(A);
    await collections.scheduler.close();
    collections.scheduler.request(B);
    await vi.advanceTimersByTimeAsync(1000);
    expect(collections.begun).toEqual([]);
  });
});
