import type { MessageInitShape } from '@bufbuild/protobuf';
import { failedPrecondition, internal, LongshoreError } from '@longshore/errors';
import { encodeSpec, type ProcessSpec } from '@longshore/oci/runtime-spec';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import {
  type ExecRequestSchema,
  type ExecResponse,
  StdioService,
} from '@longshore/proto/longshore/node/v1/stdio';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { InputSource } from '../io/input-source.ts';
import type { StreamsIo } from '../io/io.ts';
import type { ProcessIo } from '../io/process-io.ts';
import { RemoteOutputs } from '../io/remote-outputs.ts';
import { orAborted } from '../or-aborted.ts';
import { type ExitStatus, exitStatusFromProto } from './exit-status.ts';
import { type DeleteProcessOptions, Process } from './process.ts';

export interface RemoteExecParts {
  readonly connection: Connection;
  readonly containerId: string;
  readonly id: string;
  readonly process: ProcessSpec;
  readonly io: StreamsIo;
}

/**
 * A further process of a task on a machine that shares no file with this one. It is made when it starts, and lives as long as the call that
 * carries its streams: its node kills one whose caller is gone, and removes one that has ended.
 */
export class RemoteExec extends Process {
  readonly id: string;
  readonly #parts: RemoteExecParts;
  readonly #input: InputSource | undefined;
  readonly #outputs: RemoteOutputs;
  readonly #ending = new AbortController();
  readonly #exit = Promise.withResolvers<ExitStatus>();
  #isStarted = false;

  constructor(parts: RemoteExecParts) {
    const input = parts.io.stdin && new InputSource(parts.io.stdin);
    const outputs = new RemoteOutputs(parts.io);
    const ending = new AbortController();
    const io: ProcessIo = {
      outputEnded: outputs.ended,
      endInput: () => input?.stop(),
      close: () => ending.abort(),
    };
    super({ ...parts, execId: parts.id, pid: 0, io });
    this.id = parts.id;
    this.#parts = parts;
    this.#input = input;
    this.#outputs = outputs;
    this.#ending = ending;
    this.#exit.promise.catch(() => undefined);
  }

  override async start(options: CallOptions = {}): Promise<void> {
    if (this.#isStarted) throw failedPrecondition(`${this.name} was started`);
    this.#isStarted = true;
    const stop = () => this.#ending.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted) stop();
    const stdio = this.connection.service(StdioService);
    const answers = stdio.exec(this.#requests(), { ...options, signal: this.#ending.signal });
    const messages = answers[Symbol.asyncIterator]();
    try {
      const first = await messages.next();
      const started = first.done ? undefined : first.value.message;
      if (started?.case !== 'started') throw internal(`${this.name}: no word of its start`);
      this.currentPid = started.value.pid;
    } catch (error) {
      this.#finish();
      this.#exit.reject(error);
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', stop);
    }
    void this.#take(messages);
  }

  protected override untilExit({ signal }: CallOptions): Promise<ExitStatus> {
    return orAborted(this.#exit.promise, signal, this.name);
  }

  override async delete({ kill = false, ...options }: DeleteProcessOptions = {}): Promise<ExitStatus> {
    if (!this.#isStarted) {
      this.#finish();
      return { code: 0, exitedAt: undefined };
    }
    if (kill) this.#ending.abort();
    return this.wait(options).catch((error) => {
      if (kill) return { code: 137, exitedAt: undefined };
      throw error;
    });
  }

  async *#requests(): AsyncGenerator<MessageInitShape<typeof ExecRequestSchema>> {
    const { containerId, id: execId, process, io } = this.#parts;
    const { terminal } = io;
    const stdin = this.#input !== undefined;
    const spec = specOf(process);
    yield { message: { case: 'start', value: { containerId, execId, terminal, stdin, spec } } };
    if (!this.#input) return;
    for await (const chunk of this.#input) yield { message: { case: 'stdin', value: chunk } };
    // A terminal would end with its input.
    if (terminal) await this.#exit.promise.catch(() => undefined);
  }

  async #take(messages: AsyncIterator<ExecResponse>): Promise<void> {
    try {
      for (let next = await messages.next(); !next.done; next = await messages.next()) {
        const { message } = next.value;
        if (message.case === 'output') await this.#outputs.write(message.value.stream, message.value.data);
        if (message.case === 'exit') {
          const { status, exitedAt } = message.value;
          this.#exit.resolve(exitStatusFromProto({ exitStatus: status, exitedAt }));
        }
      }
      this.#finish();
      this.#exit.reject(
        new LongshoreError('Unavailable', `${this.name}: its node ended the call: unavailable`),
      );
    } catch (error) {
      this.#outputs.fail(error);
      this.#finish();
      this.#exit.reject(error);
    }
  }

  #finish(): void {
    this.#input?.stop();
    this.#outputs.end();
  }
}

function specOf(process: ProcessSpec) {
  return { typeUrl: JsonTypeUrl.Process, value: encodeSpec(process) };
}
