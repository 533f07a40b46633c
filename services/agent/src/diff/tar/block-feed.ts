import { BLOCK_BYTES } from './header-block.ts';

/** Consumes some of a chunk, and returns how many bytes. */
type Step = (chunk: Buffer) => number;

/**
 * Cuts a stream that is pushed in chunks of any size into what its reader wants next: a block, some bytes at once,
 * or bytes as they come. The reader says so from within the callbacks; each call replaces what was wanted before.
 */
export class BlockFeed {
  private step: Step | undefined;
  private readonly block = Buffer.alloc(BLOCK_BYTES);
  private blockFill = 0;

  /** Until the reader wants nothing more, after which what is pushed is ignored. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && this.step) rest = rest.subarray(this.step(rest));
  }

  /** Whether part of a block is held. */
  get isInsideBlock(): boolean {
    return this.blockFill > 0;
  }

  /** Every whole block, until something else is wanted; valid during the call. */
  wantBlocks(use: (block: Buffer) => void): void {
    this.step = (chunk) => {
      // A block that lies whole in the chunk is not copied.
      if (this.blockFill === 0 && chunk.length >= BLOCK_BYTES) {
        use(chunk.subarray(0, BLOCK_BYTES));
        return BLOCK_BYTES;
      }
      const taken = chunk.copy(this.block, this.blockFill, 0, BLOCK_BYTES - this.blockFill);
      this.blockFill += taken;
      if (this.blockFill === BLOCK_BYTES) {
        this.blockFill = 0;
        use(this.block);
      }
      return taken;
    };
  }

  /** `sizeBytes` at once, in a buffer of their own. */
  wantAll(sizeBytes: number, then: (data: Buffer) => void): void {
    const data = Buffer.alloc(sizeBytes);
    this.wantPieces(
      sizeBytes,
      (piece, position) => piece.copy(data, position),
      () => then(data),
    );
  }

  /** `sizeBytes` as they come, each piece with its place among them and valid during the call; then `then`. */
  wantPieces(sizeBytes: number, use: (piece: Buffer, position: number) => void, then: () => void): void {
    if (sizeBytes === 0) {
      then();
      return;
    }
    let done = 0;
    this.step = (chunk) => {
      const taken = Math.min(chunk.length, sizeBytes - done);
      use(chunk.subarray(0, taken), done);
      done += taken;
      if (done === sizeBytes) then();
      return taken;
    };
  }

  wantNothing(): void {
    this.step = undefined;
  }
}
