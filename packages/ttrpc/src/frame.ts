/**
 * The frames of ttrpc: a 10-byte header (data length, stream id, both uint32 big-endian; message type; flags), then
 * the data. Source: containerd/ttrpc channel.go.
 */
export interface Frame {
  streamId: number;
  type: number;
  flags: number;
  data: Uint8Array;
}

export const MessageType = { Request: 1, Response: 2, Data: 3 } as const;

export const Flag = {
  /** The sender will send no more on this stream. */
  RemoteClosed: 0x01,
  /** The sender will send more messages on this stream. */
  RemoteOpen: 0x02,
  /** The frame carries no message; without it, empty data is an empty message. */
  NoData: 0x04,
} as const;

export const HEADER_BYTES = 10;

/** The protocol's own limit on the data of one frame, the same in every implementation. */
export const MAX_DATA_BYTES = 4 * 1024 * 1024;

export function encodeFrame(frame: Frame): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + frame.data.length);
  bytes.writeUInt32BE(frame.data.length, 0);
  bytes.writeUInt32BE(frame.streamId, 4);
  bytes.writeUInt8(frame.type, 8);
  bytes.writeUInt8(frame.flags, 9);
  bytes.set(frame.data, HEADER_BYTES);
  return bytes;
}

export interface FrameSink {
  onFrame(frame: Frame): void;
  /** A frame whose data is longer than {@link MAX_DATA_BYTES}; its data has been thrown away. */
  onOversized(frame: Omit<Frame, 'data'>, sizeBytes: number): void;
}

interface Header extends Omit<Frame, 'data'> {
  sizeBytes: number;
}

/** Cuts a byte stream into frames. Holds at most one frame's data, copied once. */
export class FrameReader {
  readonly #sink: FrameSink;
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  #header: Header | undefined;
  #discardBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const rest = this.#discard(chunk);
    if (rest.length === 0) return;
    this.#chunks.push(rest);
    this.#heldBytes += rest.length;
    while (this.#step());
  }

  #step(): boolean {
    if (!this.#header) return this.#readHeader();
    if (this.#heldBytes < this.#header.sizeBytes) return false;
    const { sizeBytes, ...header } = this.#header;
    this.#header = undefined;
    this.#sink.onFrame({ ...header, data: this.#take(sizeBytes) });
    return true;
  }

  #readHeader(): boolean {
    if (this.#heldBytes < HEADER_BYTES) return false;
    const bytes = this.#take(HEADER_BYTES);
    const header = {
      sizeBytes: bytes.readUInt32BE(0),
      streamId: bytes.readUInt32BE(4),
      type: bytes.readUInt8(8),
      flags: bytes.readUInt8(9),
    };
    if (header.sizeBytes <= MAX_DATA_BYTES) {
      this.#header = header;
      return true;
    }
    this.#discardBytes = header.sizeBytes;
    const held = this.#take(this.#heldBytes);
    const { sizeBytes, ...frame } = header;
    this.#sink.onOversized(frame, sizeBytes);
    const rest = this.#discard(held);
    if (rest.length === 0) return false;
    this.#chunks = [rest];
    this.#heldBytes = rest.length;
    return true;
  }

  #discard(chunk: Buffer): Buffer {
    const dropped = Math.min(this.#discardBytes, chunk.length);
    this.#discardBytes -= dropped;
    return chunk.subarray(dropped);
  }

  #take(sizeBytes: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#heldBytes);
    const rest = all.subarray(sizeBytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#heldBytes = rest.length;
    return all.subarray(0, sizeBytes);
  }
}
