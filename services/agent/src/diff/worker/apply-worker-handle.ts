import { Readable } from 'node:stream';
import { type Transferable, Worker } from 'node:worker_threads';
import { internal, LongshoreError } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import type { AppliedLayer, ApplyJob } from '../apply-job.ts';
import { type FromWorker, type JobSource, type ToWorker, WINDOW_BYTES } from './protocol.ts';
import { SendWindow } from './send-window.ts';

/** A file whose bytes are verified as they are read: its disk, or whoever else writes there, is not to be trusted. */
export interface FileToVerify {
  readonly path: string;
  readonly digest: Digest;
}

/** A layer's bytes as they are stored: a stream, which is read to its end or destroyed, or a file, which may be just its path. */
export type LayerSource = Readable | FileToVerify | string;

/** Short-lived objects of the reader; more only makes the thread larger. */
const YOUNG_GENERATION_MB = 8;

/** One worker thread, which is given one job at a time. A crash fails the job at hand, and leaves it `dead`. */
export class ApplyWorkerHandle {
  private readonly worker: Worker;
  private onMessage: (message: FromWorker) => void = () => {};
  private onDeath: (error: LongshoreError) => void = () => {};
  private _dead = false;

  constructor(maxHeapMb: number) {
    this.worker = new Worker(new URL('./apply-worker.ts', import.meta.url), {
      name: 'apply-layer',
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.worker.unref();
    this.worker.on('message', (message: FromWorker) => this.onMessage(message));
    this.worker.on('error', (error) => this.died(deathOf(error)));
    this.worker.on('exit', () => this.died(internal('layer worker exited')));
  }

  get dead(): boolean {
    return this._dead;
  }

  /** Settles when the thread is done with the job, also after an abort: nothing is written from then on. */
  async run(job: ApplyJob, source: LayerSource, signal: AbortSignal): Promise<AppliedLayer> {
    this.worker.ref();
    try {
      if (source instanceof Readable) return await this.applyStream(job, source, signal);
      const file = typeof source === 'string' ? { path: source, digest: undefined } : source;
      return await this.apply(job, { kind: 'file', ...file }, signal);
    } finally {
      this.worker.unref();
    }
  }

  async terminate(): Promise<void> {
    this._dead = true;
    await this.worker.terminate();
  }

  private async applyStream(job: ApplyJob, source: Readable, signal: AbortSignal): Promise<AppliedLayer> {
    const window = new SendWindow(WINDOW_BYTES);
    const broken = new AbortController();
    const applied = this.apply(job, { kind: 'chunks' }, AbortSignal.any([signal, broken.signal]), window);
    // A stream that breaks aborts the job with its own error; one that was destroyed below aborts a job that is over.
    const fed = this.feed(source, window).catch((error: unknown) => broken.abort(error));
    try {
      return await applied;
    } finally {
      window.close();
      source.destroy();
      await fed;
    }
  }

  private async feed(source: Readable, window: SendWindow): Promise<void> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (!(await window.take(chunk.length))) return;
      // A copy of just these bytes, since what is handed over is the whole memory that a buffer is a part of.
      const bytes = new Uint8Array(chunk);
      this.send({ type: 'chunk', bytes }, [bytes.buffer]);
    }
    this.send({ type: 'end' });
  }

  private async apply(
    job: ApplyJob,
    source: JobSource,
    signal: AbortSignal,
    window?: SendWindow,
  ): Promise<AppliedLayer> {
    const { promise, resolve, reject } = Promise.withResolvers<AppliedLayer>();
    this.onDeath = reject;
    this.onMessage = (message) => {
      if (message.type === 'consumed') window?.give(message.bytes);
      else if (message.type === 'done') resolve(message.layer);
      else reject(signal.aborted ? signal.reason : new LongshoreError(message.kind, message.message));
    };
    const abort = () => this.send({ type: 'abort' });
    signal.addEventListener('abort', abort);
    this.send({ type: 'apply', job, source });
    if (signal.aborted) abort();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      this.onMessage = () => {};
      this.onDeath = () => {};
    }
  }

  private send(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  private died(error: LongshoreError): void {
    this._dead = true;
    this.onDeath(error);
  }
}

function deathOf(error: unknown): LongshoreError {
  const outOfMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
  if (outOfMemory) {
    return new LongshoreError('ResourceExhausted', 'layer needs too much memory to be applied', {
      cause: error,
    });
  }
  return internal('layer worker failed', { cause: error });
}
