import type { MessageInitShape } from '@bufbuild/protobuf';
import { unavailable } from '@longshore/errors';
import { type AttachRequestSchema, StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { bridgeOutages } from '../bridge-outages.ts';
import type { Connection } from '../connection/connection.ts';
import { InputSource } from './input-source.ts';
import type { StreamsIo } from './io.ts';
import { LogPosition } from './log-position.ts';
import type { ProcessIo } from './process-io.ts';
import { RemoteOutputs } from './remote-outputs.ts';

export interface Attachment {
  readonly connection: Connection;
  readonly containerId: string;
  readonly io: StreamsIo;
  /** What the task has written before comes first. */
  readonly withLog: boolean;
}

/**
 * Streams of this process joined to a task whose node keeps its output. Letting go of them leaves the task alone. After an outage they are
 * joined again, and output goes on where it was; input that was on its way is lost.
 */
export class AttachedIo implements ProcessIo {
  readonly outputEnded: Promise<void>;
  /** Resolves once nothing of the output is missed any more, and when it cannot be had. */
  readonly joined: Promise<void>;
  readonly #attachment: Attachment;
  readonly #input: InputSource | undefined;
  readonly #outputs: RemoteOutputs;
  readonly #position = new LogPosition();
  readonly #leaving = new AbortController();
  readonly #joining = Promise.withResolvers<void>();
  #isAgain = false;

  constructor(attachment: Attachment) {
    const { connection, io } = attachment;
    this.#attachment = attachment;
    this.#input = io.stdin && new InputSource(io.stdin);
    this.#outputs = new RemoteOutputs(io);
    this.outputEnded = this.#outputs.ended;
    this.joined = this.#joining.promise;
    bridgeOutages(() => this.#join(), connection.outageMs, this.#leaving.signal)
      .catch((error) => {
        if (!this.#leaving.signal.aborted) this.#outputs.fail(error);
      })
      .finally(() => {
        this.#input?.stop();
        this.#outputs.end();
        this.#joining.resolve();
      });
  }

  endInput(): void {
    this.#input?.stop();
  }

  close(): void {
    this.endInput();
    this.#leaving.abort();
  }

  /** Resolves with the exit of the process. */
  async #join(): Promise<void> {
    const { connection, containerId, withLog } = this.#attachment;
    const isToGoOn = this.#isAgain && this.#position.isSet;
    if (isToGoOn) this.#position.rewind();
    this.#isAgain = true;
    const requests = this.#requests(withLog || isToGoOn);
    const answers = connection.service(StdioService).attach(requests, { signal: this.#leaving.signal });
    for await (const { message } of answers) {
      this.#joining.resolve();
      if (message.case === 'exit') return;
      if (message.case !== 'output') continue;
      await this.#outputs.write(message.value.stream, this.#position.take(message.value));
    }
    throw unavailable(`task ${JSON.stringify(containerId)}: its node has ended the call`);
  }

  async *#requests(logs: boolean): AsyncGenerator<MessageInitShape<typeof AttachRequestSchema>> {
    const { containerId, io } = this.#attachment;
    const input = this.#input;
    yield { message: { case: 'start', value: { containerId, stdin: input !== undefined, logs } } };
    if (!input) return;
    for await (const chunk of input) yield { message: { case: 'stdin', value: chunk } };
    // A terminal would end with its input.
    if (!io.terminal) yield { message: { case: 'stdinClosed', value: {} } };
  }
}
