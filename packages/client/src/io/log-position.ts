import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { type Output, Stream } from '@longshore/proto/longshore/node/v1/stdio';

const NANOSECONDS = 1_000_000_000n;

type Bytes = Record<'stdout' | 'stderr', number>;

/** How far kept output was read, so that who reads it again from its beginning goes on behind that. */
export class LogPosition {
  #timeNs = -1n;
  /** That were taken of this very time. */
  #taken: Bytes = { stdout: 0, stderr: 0 };
  /** Of a reading that has begun anew: what of this very time is still to be left out. */
  #known: Bytes | undefined;

  /** Whether anything was taken. */
  get isSet(): boolean {
    return this.#timeNs >= 0n;
  }

  /** What comes now was read from the beginning. */
  rewind(): void {
    this.#known = { ...this.#taken };
  }

  /** What of it was not taken before; it is taken now. */
  take({ stream, data, time }: Output): Uint8Array {
    const timeNs = nanosecondsOf(time);
    const name = stream === Stream.STDERR ? 'stderr' : 'stdout';
    if (this.#known && timeNs < this.#timeNs) return data.subarray(data.length);
    if (timeNs !== this.#timeNs) {
      this.#known = undefined;
      this.#timeNs = timeNs;
      this.#taken = { stdout: 0, stderr: 0 };
    }
    const isKnown = Math.min(data.length, this.#known?.[name] ?? 0);
    if (this.#known) this.#known[name] -= isKnown;
    const unseen = data.subarray(isKnown);
    this.#taken[name] += unseen.length;
    return unseen;
  }
}

function nanosecondsOf(time: Timestamp | undefined): bigint {
  return time ? time.seconds * NANOSECONDS + BigInt(time.nanos) : 0n;
}
