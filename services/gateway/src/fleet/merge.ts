export interface MergeLimits {
  /** Sources that are read at a time. */
  concurrency: number;
  /** Items that may wait for the reader; more are not asked for. */
  buffered: number;
}

/**
 * The items of all sources, as they come. Sources are begun in their order, and closed when the reader leaves. One that
 * fails fails the whole.
 */
export async function* merge<T>(
  sources: readonly AsyncIterable<T>[],
  { concurrency, buffered }: MergeLimits,
): AsyncGenerator<T> {
  const waiting = sources.values();
  const items: T[] = [];
  const arrival = new Bell();
  const room = new Bell();
  let isOver = false;

  async function readSources(): Promise<void> {
    for (const source of waiting) {
      for await (const item of source) {
        items.push(item);
        arrival.ring();
        while (items.length >= buffered && !isOver) await room.wait();
        if (isOver) return;
      }
      if (isOver) return;
    }
  }

  const readers = Promise.all(Array.from({ length: Math.min(concurrency, sources.length) }, readSources));
  let isRead = false;
  const allRead = readers.finally(() => {
    isRead = true;
    arrival.ring();
  });
  // Its failure is heard at the end; until then it must not count as unhandled.
  allRead.catch(() => undefined);
  try {
    for (;;) {
      const next = arrival.wait();
      while (items.length > 0) {
        yield items.shift()!;
        room.ring();
      }
      if (isRead) break;
      await next;
    }
    await allRead;
  } finally {
    isOver = true;
    room.ring();
  }
}

/** Wakes all who wait now. */
class Bell {
  #rung = Promise.withResolvers<void>();

  wait(): Promise<void> {
    return this.#rung.promise;
  }

  ring(): void {
    this.#rung.resolve();
    this.#rung = Promise.withResolvers<void>();
  }
}
