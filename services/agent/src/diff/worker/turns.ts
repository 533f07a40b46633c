interface Waiting {
  start(): void;
}

/** Lets so many callers in at a time, the others in the order in which they came. */
export class Turns {
  private free: number;
  private readonly waiting: Waiting[] = [];

  constructor(count: number) {
    this.free = count;
  }

  /** Resolves when it is the caller's turn, who is to call {@link done}; rejects with the reason of `signal`. */
  async next(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free--;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { start: resolve };
    const leave = () => {
      const index = this.waiting.indexOf(waiting);
      if (index < 0) return; // the turn has come already
      this.waiting.splice(index, 1);
      reject(signal.reason);
    };
    this.waiting.push(waiting);
    signal.addEventListener('abort', leave);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  done(): void {
    const next = this.waiting.shift();
    // Handed over, so that nobody who comes in between takes the turn.
    if (next) next.start();
    else this.free++;
  }
}
