import type { ErrorKind } from '@longshore/errors';
import type { ComparedLayer } from './compare-job.ts';

/** To the thread, which got its job when it was started. */
export type ToCompareWorker =
  /** Bytes of chunks that were taken; as many more may be sent. */
  | { type: 'consumed'; bytes: number }
  /** Wakes it where it waits to send; what ends it is the flag in shared memory. */
  | { type: 'stop' };

export type FromCompareWorker =
  | { type: 'chunk'; bytes: Uint8Array }
  | { type: 'done'; layer: ComparedLayer }
  | { type: 'failed'; kind: ErrorKind; message: string };
