import type { ErrorKind } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import type { AppliedLayer, ApplyJob } from '../apply-job.ts';

/** Where the worker reads the layer: a file by itself, or the chunks that follow. */
export type JobSource = { kind: 'file'; path: string; digest: Digest | undefined } | { kind: 'chunks' };

/**
 * To the worker: one job at a time, answered by `done` or `failed`. Chunks and `end` that come after the answer belong
 * to the job that it ended, and are ignored.
 */
export type ToWorker =
  | { type: 'apply'; job: ApplyJob; source: JobSource }
  | { type: 'chunk'; bytes: Uint8Array }
  | { type: 'end' }
  | { type: 'abort' };

export type FromWorker =
  /** Bytes of chunks that were taken; as many more may be sent. */
  | { type: 'consumed'; bytes: number }
  | { type: 'done'; layer: AppliedLayer }
  | { type: 'failed'; kind: ErrorKind; message: string };

/** How much may be under way to the worker: enough to keep it busy, little beside its heap. */
export const WINDOW_BYTES = 4 * 2 ** 20;
