import { Stream } from '@longshore/proto/longshore/node/v1/stdio';
import type { StreamsIo } from './io.ts';
import { OutputSink } from './output-sink.ts';

/** Where output goes that comes over the network. */
export class RemoteOutputs {
  /** Resolves with {@link end}, rejects with {@link fail}. */
  readonly ended: Promise<void>;
  readonly #stdout: OutputSink;
  readonly #stderr: OutputSink;
  readonly #ended = Promise.withResolvers<void>();

  constructor({ stdout, stderr }: Pick<StreamsIo, 'stdout' | 'stderr'>) {
    this.#stdout = new OutputSink(stdout);
    this.#stderr = new OutputSink(stderr);
    this.ended = this.#ended.promise;
    this.ended.catch(() => undefined);
  }

  /** Resolves when more may come. */
  async write(stream: Stream, data: Uint8Array): Promise<void> {
    await (stream === Stream.STDERR ? this.#stderr : this.#stdout).write(data);
  }

  /** The rest is lost. */
  fail(error: unknown): void {
    this.#ended.reject(error);
    this.end();
  }

  end(): void {
    this.#stdout.end();
    this.#stderr.end();
    this.#ended.resolve();
  }
}
