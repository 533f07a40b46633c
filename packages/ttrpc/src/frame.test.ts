import { describe, expect, it } from 'vitest';
import { encodeFrame, type Frame, FrameReader, MAX_DATA_BYTES, MessageType } from './frame.ts';

function collect() {
  const frames: Frame[] = [];
  const oversized: [number, number][] = [];
  const reader = new FrameReader({
    onFrame: (frame) => frames.push(frame),
    onOversized: (frame, sizeBytes) => oversized.push([frame.streamId, sizeBytes]),
  });
  return { frames, oversized, reader };
}

const hello = { streamId: 3, type: MessageType.Request, flags: 2, data: Buffer.from('hello') };

describe('encodeFrame', () => {
  it('writes length, stream id, type and flags before the data', () => {
    expect(encodeFrame(hello).toString('hex')).toBe(
      `00000005${'00000003'}0102${Buffer.from('hello').toString('hex')}`,
    );
  });
});

describe('FrameReader', () => {
  it('finds the same frames however the bytes are cut', () => {
    const bytes = Buffer.concat([
      encodeFrame(hello),
      encodeFrame({ ...hello, streamId: 5, data: Buffer.alloc(0) }),
    ]);
    for (let size = 1; size <= bytes.length; size++) {
      const { frames, reader } = collect();
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
      expect(frames.map((frame) => [frame.streamId, Buffer.from(frame.data).toString()])).toEqual([
        [3, 'hello'],
        [5, ''],
      ]);
    }
  });

  it('takes a frame of exactly the limit', () => {
    const { frames, reader } = collect();
    reader.push(encodeFrame({ ...hello, data: Buffer.alloc(MAX_DATA_BYTES) }));
    expect(frames).toHaveLength(1);
  });

  it('throws the data of a longer frame away and goes on with the next', () => {
    const tooLong = encodeFrame({ ...hello, data: Buffer.alloc(MAX_DATA_BYTES + 1) });
    const bytes = Buffer.concat([tooLong, encodeFrame({ ...hello, streamId: 7 })]);
    for (const size of [65_536, bytes.length]) {
      const { frames, oversized, reader } = collect();
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
      expect(oversized).toEqual([[3, MAX_DATA_BYTES + 1]]);
      expect(frames.map((frame) => frame.streamId)).toEqual([7]);
    }
  });
});
