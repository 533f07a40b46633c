import { LongshoreError } from '@longshore/errors';

/** ResourceExhausted, and after how many milliseconds it is worth another try. */
export class LimitReached extends LongshoreError {
  readonly retryAfterMs: number;

  constructor(problem: string, retryAfterMs: number) {
    super('ResourceExhausted', `${problem}: resource exhausted`);
    this.retryAfterMs = retryAfterMs;
  }
}

/** gRPC's own way to say so (its proposal A6, server pushback). */
export function pushback(error: unknown): Record<string, string> {
  return error instanceof LimitReached ? { 'grpc-retry-pushback-ms': String(error.retryAfterMs) } : {};
}
