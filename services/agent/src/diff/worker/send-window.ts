/** Lets a sender wait until its receiver has taken enough of what was sent. For one sender. */
export class SendWindow {
  private readonly limitBytes: number;
  private outstandingBytes = 0;
  private closed = false;
  private wake: () => void = () => {};

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Resolves when `bytes` may be sent, which count as sent then; false when nothing is to be sent any more. */
  async take(bytes: number): Promise<boolean> {
    while (!this.closed && this.outstandingBytes >= this.limitBytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      await promise;
    }
    this.outstandingBytes += bytes;
    return !this.closed;
  }

  /** `bytes` were received. */
  give(bytes: number): void {
    this.outstandingBytes -= bytes;
    this.wake();
  }

  close(): void {
    this.closed = true;
    this.wake();
  }
}
