import { Transform, type TransformCallback } from 'node:stream';

/** A flag, 1 for compressed, and the length of the message. */
const PREFIX_BYTES = 5;

/** Sees each message before it is passed on, and answers what is passed on in its place, e.g. itself. */
export type OnMessage = (message: Uint8Array, isCompressed: boolean) => Uint8Array;

/** Passes on an answer of gRPC message by message, so that what it has passed on ends where a message does. */
export class WholeMessages extends Transform {
  readonly #onMessage: OnMessage;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes = PREFIX_BYTES;

  constructor(onMessage: OnMessage) {
    super();
    this.#onMessage = onMessage;
  }

  /** A message has begun whose rest has not come. */
  get hasPart(): boolean {
    return this.#heldBytes > 0;
  }

  /** What was written is all that comes of it: resolves when its whole messages were passed on. */
  async cut(): Promise<void> {
    await new Promise((resolve) => this.write(Buffer.alloc(0), resolve));
    this.#keep(Buffer.alloc(0));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= this.#neededBytes) this.#passOn(Buffer.concat(this.#held));
    done();
  }

  #passOn(bytes: Buffer): void {
    let at = 0;
    for (let end = endOf(bytes, at); end <= bytes.length; end = endOf(bytes, at)) {
      const message = bytes.subarray(at + PREFIX_BYTES, end);
      const passed = this.#onMessage(message, bytes[at] !== 0);
      this.push(passed === message ? bytes.subarray(at, end) : framed(passed));
      at = end;
    }
    this.#keep(bytes.subarray(at));
  }

  #keep(part: Buffer): void {
    this.#held = [part];
    this.#heldBytes = part.length;
    this.#neededBytes = endOf(part, 0);
  }
}

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Where the message at `at` ends; at least where its prefix does. */
function endOf(bytes: Buffer, at: number): number {
  const first = at + PREFIX_BYTES;
  return bytes.length < first ? first : first + bytes.readUInt32BE(at + 1);
}
