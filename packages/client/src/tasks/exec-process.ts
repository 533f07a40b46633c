import type { CallOptions } from '@longshore/rpc';
import type { FifoIo } from '../io/fifo-io.ts';
import { type ExitStatus, exitStatusFromProto } from './exit-status.ts';
import { type DeleteProcessOptions, Process, type ProcessParts } from './process.ts';

/** A further process of a task, whose streams are paths. */
export class ExecProcess extends Process {
  readonly id: string;
  readonly #fifos: FifoIo | undefined;

  constructor(parts: ProcessParts & { io: FifoIo | undefined }) {
    super(parts);
    this.id = parts.execId;
    this.#fifos = parts.io;
  }

  override async start(options: CallOptions = {}): Promise<void> {
    try {
      const { pid } = await this.tasks.start(this.ids, options);
      this.currentPid = pid;
    } catch (error) {
      this.#fifos?.close();
      throw error;
    }
    this.#fifos?.release(() => this.closeIO());
  }

  override async delete({ kill = false, ...options }: DeleteProcessOptions = {}): Promise<ExitStatus> {
    if (kill) await this.end(options, false);
    const { state } = await this.status(options);
    if (state === 'stopped') await this.outputTaken(options.signal);
    const answer = await this.tasks.deleteProcess(this.ids, options);
    this.io?.close();
    return exitStatusFromProto(answer);
  }
}
