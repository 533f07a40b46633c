import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { LayerSource } from '../worker/apply-worker-handle.ts';
import { verifiedFile } from '../worker/verified-file.ts';
import { runProcessor } from './run-processor.ts';
import type { ProcessorStep } from './stream-processor.ts';

export interface ProcessedLayerOptions {
  /** As it is stored. */
  source: LayerSource;
  steps: readonly ProcessorStep[];
  /** What processors get as parameters, by their ids. */
  payloads: Readonly<Record<string, Uint8Array>>;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

/**
 * A layer as stream processors make it. They are started once it is read, are killed when it is destroyed, and have
 * ended when this is disposed of.
 */
export class ProcessedLayer implements AsyncDisposable {
  readonly output: Readable;
  private readonly ends: Promise<unknown>[] = [];

  constructor({ source, steps, payloads, env, signal }: ProcessedLayerOptions) {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    if (source instanceof Readable) either.addEventListener('abort', () => source.destroy());
    let chunks = bytesOf(source, either);
    for (const step of steps) {
      const payload = payloads[step.processor.id];
      const onStarted = (ended: Promise<unknown>) => this.ends.push(ended);
      chunks = runProcessor({ step, input: chunks, payload, env, signal: either, onStarted });
    }
    const iterator = chunks[Symbol.asyncIterator]();
    // Unlike one from `Readable.from`, it does not wait for a chunk before it is destroyed.
    this.output = new Readable({
      read() {
        iterator.next().then(
          ({ done, value }) => this.push(done ? null : value),
          (error: Error) => this.destroy(error),
        );
      },
      destroy(error, callback) {
        stop.abort();
        iterator.return?.().catch(() => {});
        callback(error);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.output.destroy();
    await Promise.allSettled(this.ends);
  }
}

function bytesOf(source: LayerSource, signal: AbortSignal): AsyncIterable<Buffer> {
  if (source instanceof Readable) return source;
  if (typeof source === 'string') return createReadStream(source, { signal });
  return verifiedFile(source.path, source.digest, signal);
}
