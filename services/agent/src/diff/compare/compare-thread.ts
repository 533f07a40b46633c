import { Worker } from 'node:worker_threads';
import { internal, LongshoreError } from '@longshore/errors';
import { ChunkInbox } from '../worker/chunk-inbox.ts';
import type { ComparedLayer, CompareJob } from './compare-job.ts';
import type { FromCompareWorker, ToCompareWorker } from './protocol.ts';

/** Short-lived objects of the walk; more only makes the thread larger. */
const YOUNG_GENERATION_MB = 8;

/** A thread that makes one comparison: its chunks, to be read once, then what they are. To be closed. */
export class CompareThread implements AsyncDisposable {
  /** Fails as the comparison does. */
  readonly chunks: AsyncIterable<Buffer>;
  private readonly worker: Worker;
  private readonly stop = new Int32Array(new SharedArrayBuffer(4));
  private readonly exited: Promise<void>;
  private readonly result = Promise.withResolvers<ComparedLayer>();

  constructor(job: CompareJob, maxHeapMb: number) {
    const inbox = new ChunkInbox((bytes) => this.send({ type: 'consumed', bytes }));
    this.chunks = inbox;
    this.result.promise.catch((error: unknown) => inbox.fail(error));
    this.worker = new Worker(new URL('./compare-worker.ts', import.meta.url), {
      name: 'compare-layers',
      execArgv: [],
      workerData: { job, stop: this.stop },
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
    this.worker.on('error', (error) => this.result.reject(deathOf(error)));
    this.worker.on('exit', () => this.result.reject(internal('diff worker exited')));
    this.worker.on('message', (message: FromCompareWorker) => {
      if (message.type === 'chunk') inbox.push(Buffer.from(message.bytes.buffer));
      else if (message.type === 'failed') {
        this.result.reject(new LongshoreError(message.kind, message.message));
      } else {
        this.result.resolve(message.layer);
        inbox.end();
      }
    });
  }

  /** Settles once everything was written, or will not be. */
  get layer(): Promise<ComparedLayer> {
    return this.result.promise;
  }

  /** Ends the comparison where it is. */
  abort(reason: unknown): void {
    this.result.reject(reason);
    Atomics.store(this.stop, 0, 1);
    this.send({ type: 'stop' });
  }

  /** Resolves once nothing is read, and nothing of it mounted, any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abort(internal('diff worker closed'));
    await this.exited;
  }

  private send(message: ToCompareWorker): void {
    this.worker.postMessage(message);
  }
}

function deathOf(error: unknown): LongshoreError {
  const outOfMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
  if (!outOfMemory) return internal('diff worker failed', { cause: error });
  return new LongshoreError('ResourceExhausted', 'diff needs too much memory', { cause: error });
}
