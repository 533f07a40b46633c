import type { IncomingHttpHeaders } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import type { HeadersRead, RawCall } from './call.ts';
import { statusTrailers } from './end-with-error.ts';
import { timeoutOf } from './timeout.ts';
import type { UnaryOutcome } from './unary-method.ts';

/** A call as it came over HTTP/2. Cancelled when its caller leaves it, or its deadline passes; not by its answer. */
export class HttpCall implements RawCall {
  readonly metadata: HeadersRead;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #deadlineMs: number;
  readonly #listeners: (() => void)[] = [];
  #isDone = false;

  constructor(path: string, headers: IncomingHttpHeaders) {
    this.metadata = { get: (name) => valuesOf(headers[name]) };
    this.#path = path;
    this.#timeoutMs = timeoutOf(headers);
    this.#deadlineMs = Date.now() + this.#timeoutMs;
  }

  getPath(): string {
    return this.#path;
  }

  getDeadline(): Date | number {
    return Number.isFinite(this.#deadlineMs) ? new Date(this.#deadlineMs) : this.#deadlineMs;
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#listeners.push(listener);
  }

  readonly cancel = (): void => {
    if (this.#isDone) return;
    this.#isDone = true;
    for (const listener of this.#listeners) listener();
  };

  /** What comes first, that or the deadline. */
  async outcomeOf(running: Promise<UnaryOutcome>): Promise<UnaryOutcome> {
    const late = Promise.withResolvers<UnaryOutcome>();
    const timer = Number.isFinite(this.#timeoutMs)
      ? setTimeout(() => {
          this.cancel();
          late.resolve(TOO_LATE());
        }, this.#timeoutMs)
      : undefined;
    const outcome = await (timer ? Promise.race([running, late.promise]) : running);
    clearTimeout(timer);
    this.#isDone = true;
    return outcome;
  }
}

/** In the words of grpc-js. */
const TOO_LATE = (): UnaryOutcome => ({
  trailers: statusTrailers(new LongshoreError('DeadlineExceeded', 'Deadline exceeded')),
});

function valuesOf(value: string | string[] | undefined): readonly string[] {
  if (value === undefined) return NONE;
  return typeof value === 'string' ? [value] : value;
}

const NONE: readonly string[] = [];
