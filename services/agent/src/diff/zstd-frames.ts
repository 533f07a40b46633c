import { archiveError } from './tar/archive-error.ts';

/** Source: RFC 8878, "Zstandard Frames" and "Skippable Frames". */
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;

/** What is to be read next, of which the frame's structure is told by whole pieces only. */
type Part = 'magic' | 'skippable-size' | 'descriptor' | 'block-header' | 'opaque';

/**
 * Cuts a zstd stream where its frames end. Node's decompressor stops at the end of a frame and drops what else was
 * in the same chunk, but starts anew with the next one; layers made for lazy pulling have one frame for each file.
 */
export async function* splitZstdFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const walker = new FrameWalker();
  for await (const chunk of source) {
    let start = 0;
    while (start < chunk.length) {
      const end = walker.endOfFrame(chunk, start);
      yield chunk.subarray(start, end);
      start = end;
    }
  }
}

/** Follows the structure of frames, whose blocks tell their lengths, without decoding them. */
class FrameWalker {
  private part: Part = 'magic';
  private readonly held = Buffer.alloc(4);
  private heldBytes = 0;
  private needBytes = 4;
  /** After `opaque` bytes. */
  private next: Part = 'magic';
  private hasChecksum = false;

  /** Where the frame ends that `chunk` is in the midst of at `start`, or the chunk's end. */
  endOfFrame(chunk: Buffer, start: number): number {
    let offset = start;
    while (offset < chunk.length) {
      const taken = Math.min(this.needBytes, chunk.length - offset);
      if (this.part !== 'opaque') {
        chunk.copy(this.held, this.heldBytes, offset, offset + taken);
        this.heldBytes += taken;
      }
      this.needBytes -= taken;
      offset += taken;
      if (this.needBytes > 0) return offset;
      const ended = this.complete();
      this.heldBytes = 0;
      if (ended) return offset;
    }
    return offset;
  }

  /** Decides what follows the part just read; true at the end of a frame. */
  private complete(): boolean {
    switch (this.part) {
      case 'magic':
        return this.afterMagic(this.held.readUInt32LE(0));
      case 'skippable-size':
        return this.skip(this.held.readUInt32LE(0), 'magic');
      case 'descriptor':
        return this.afterDescriptor(this.held[0]!);
      case 'block-header':
        return this.afterBlockHeader(this.held.readUIntLE(0, BLOCK_HEADER_BYTES));
      default:
        return this.want(this.next);
    }
  }

  private afterMagic(magic: number): boolean {
    if (magic === FRAME_MAGIC) return this.want('descriptor');
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) return this.want('skippable-size');
    throw archiveError('zstd stream with an unknown frame');
  }

  private afterDescriptor(descriptor: number): boolean {
    const singleSegment = (descriptor & 0x20) !== 0;
    this.hasChecksum = (descriptor & 0x04) !== 0;
    const windowBytes = singleSegment ? 0 : 1;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03]!;
    const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    return this.skip(windowBytes + dictionaryBytes + contentSizeBytes, 'block-header');
  }

  private afterBlockHeader(header: number): boolean {
    const isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const sizeBytes = type === RLE_BLOCK ? 1 : header >> 3;
    if (!isLast) return this.skip(sizeBytes, 'block-header');
    return this.skip(sizeBytes + (this.hasChecksum ? CHECKSUM_BYTES : 0), 'magic');
  }

  private skip(sizeBytes: number, next: Part): boolean {
    if (sizeBytes === 0) return this.want(next);
    this.part = 'opaque';
    this.needBytes = sizeBytes;
    this.next = next;
    return false;
  }

  private want(part: Part): boolean {
    this.part = part;
    this.needBytes = part === 'descriptor' ? 1 : part === 'block-header' ? BLOCK_HEADER_BYTES : 4;
    return part === 'magic';
  }
}
