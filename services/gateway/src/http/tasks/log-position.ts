import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Output } from '@longshore/proto/longshore/node/v1/stdio';
import { fromNanoseconds, nanosecondsOf } from './point-in-time.ts';

const ID = /^(\d{1,20})\.(\d{1,15})$/;

/**
 * How far a reader of a log has come, as the id of its last event: the time of the last output, and how many bytes of that
 * time were sent. All that was read at once has one time, and may come in several outputs.
 */
export class LogPosition {
  #timeNs: bigint;
  #bytes: number;
  /** Of the time to go on from: what is to be left out. */
  #toSkip: number;

  private constructor(timeNs: bigint, bytes: number) {
    this.#timeNs = timeNs;
    this.#bytes = bytes;
    this.#toSkip = bytes;
  }

  static start(): LogPosition {
    return new LogPosition(0n, 0);
  }

  /** Throws InvalidArgument for what was no id of ours. */
  static after(id: string): LogPosition {
    const match = ID.exec(id);
    if (!match) throw invalidArgument(`Last-Event-ID ${JSON.stringify(id)}`);
    return new LogPosition(BigInt(match[1]!), Number(match[2]));
  }

  /** From when to read. */
  get since(): Timestamp {
    return fromNanoseconds(this.#timeNs);
  }

  get id(): string {
    return `${this.#timeNs}.${this.#bytes}`;
  }

  /** What of an output was not sent before; undefined for nothing. */
  advance(output: Output): Output | undefined {
    const timeNs = nanosecondsOf(output.time);
    const size = output.data.length;
    if (timeNs === this.#timeNs && this.#toSkip > 0) {
      const skipped = Math.min(this.#toSkip, size);
      this.#toSkip -= skipped;
      return skipped === size ? undefined : this.#counted({ ...output, data: output.data.subarray(skipped) });
    }
    this.#toSkip = 0;
    if (timeNs !== this.#timeNs) {
      this.#timeNs = timeNs;
      this.#bytes = 0;
    }
    return this.#counted(output);
  }

  #counted(output: Output): Output {
    this.#bytes += output.data.length;
    return output;
  }
}
