import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import { type AttachRequestSchema, StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import type { Connection } from '../connection/connection.ts';
import { InputSource } from './input-source.ts';
import type { StreamsIo } from './io.ts';
import type { ProcessIo } from './process-io.ts';
import { RemoteOutputs } from './remote-outputs.ts';

/** Streams of this process joined to a task whose node keeps its output. Letting go of them leaves the task alone. */
export class AttachedIo implements ProcessIo {
  readonly outputEnded: Promise<void>;
  readonly #input: InputSource | undefined;
  readonly #outputs: RemoteOutputs;
  readonly #leaving = new AbortController();

  /** `withLog`: what the task has written before comes first. */
  constructor(connection: Connection, containerId: string, io: StreamsIo, withLog: boolean) {
    this.#input = io.stdin && new InputSource(io.stdin);
    this.#outputs = new RemoteOutputs(io);
    this.outputEnded = this.#outputs.ended;
    void this.#take(connection, containerId, io, withLog);
  }

  endInput(): void {
    this.#input?.stop();
  }

  close(): void {
    this.endInput();
    this.#leaving.abort();
  }

  async #take(connection: Connection, containerId: string, io: StreamsIo, logs: boolean): Promise<void> {
    const stdio = connection.service(StdioService);
    const { signal } = this.#leaving;
    try {
      for await (const { message } of stdio.attach(this.#requests(containerId, io, logs), { signal })) {
        if (message.case === 'output') await this.#outputs.write(message.value);
      }
    } catch (error) {
      if (!isKind(error, 'Canceled')) this.#outputs.fail(error);
    } finally {
      this.#input?.stop();
      this.#outputs.end();
    }
  }

  async *#requests(
    containerId: string,
    { terminal }: StreamsIo,
    logs: boolean,
  ): AsyncGenerator<MessageInitShape<typeof AttachRequestSchema>> {
    yield { message: { case: 'start', value: { containerId, stdin: this.#input !== undefined, logs } } };
    if (!this.#input) return;
    for await (const chunk of this.#input) yield { message: { case: 'stdin', value: chunk } };
    // A terminal would end with its input.
    if (!terminal) yield { message: { case: 'stdinClosed', value: {} } };
  }
}
