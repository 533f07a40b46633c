import { toJson } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { type Output, Stream } from '@longshore/proto/longshore/node/v1/stdio';

const NEWLINE = 0x0a;

/** Output as JSON has it. What is no UTF-8 is replaced; a character that was cut in two comes with its second half. */
export class OutputDecoder {
  readonly #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };

  toJson({ stream, data, time, skippedBytes }: Output) {
    const name = streamName(stream);
    return {
      stream: name,
      time: time ? toJson(TimestampSchema, time) : undefined,
      text: this.#decoders[name].decode(data, { stream: true }),
      ...(skippedBytes > 0n && { skipped_bytes: Number(skippedBytes) }),
    };
  }
}

/** Puts the time in front of each line, as docker and nerdctl do. */
export class LineStamper {
  /** Whose line is not at its end. */
  readonly #open = new Set<Stream>();

  stamp({ stream, data, time }: Output): Buffer {
    const stamp = Buffer.from(time ? `${toJson(TimestampSchema, time)} ` : '');
    const parts: Uint8Array[] = [];
    for (let start = 0; start < data.length; ) {
      const newline = data.indexOf(NEWLINE, start);
      const end = newline < 0 ? data.length : newline + 1;
      if (!this.#open.has(stream)) parts.push(stamp);
      parts.push(data.subarray(start, end));
      if (newline < 0) this.#open.add(stream);
      else this.#open.delete(stream);
      start = end;
    }
    return Buffer.concat(parts);
  }
}

/** A terminal's output is of stdout. */
export function streamName(stream: Stream): 'stdout' | 'stderr' {
  return stream === Stream.STDERR ? 'stderr' : 'stdout';
}
