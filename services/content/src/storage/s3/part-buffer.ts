/** Small enough that a small blob takes little, large enough to be sent in one go. */
const BLOCK_BYTES = 256 * 1024;
/** What is kept to be used again, over all writers. */
const MAX_FREE_BLOCKS = 256;

const free: Buffer[] = [];

/** The bytes of a part on their way, in blocks that are used again once the last user has released them. */
export class PartBuffer {
  readonly #blocks: Buffer[] = [];
  #sizeBytes = 0;
  #users = 1;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  append(data: Uint8Array): void {
    for (let done = 0; done < data.byteLength; ) {
      const at = this.#sizeBytes % BLOCK_BYTES;
      if (at === 0) this.#blocks.push(free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES));
      const copied = data.subarray(done, done + BLOCK_BYTES - at);
      this.#blocks.at(-1)?.set(copied, at);
      this.#sizeBytes += copied.byteLength;
      done += copied.byteLength;
    }
  }

  /** Views of the bytes, which stay as they are while there is a user. */
  slice(start: number, end: number): Uint8Array[] {
    const views = [];
    for (let position = start; position < end; ) {
      const at = position % BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - at, end - position);
      views.push(this.#blocks[Math.floor(position / BLOCK_BYTES)]!.subarray(at, at + length));
      position += length;
    }
    return views;
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    free.push(...this.#blocks.splice(0, Math.max(0, MAX_FREE_BLOCKS - free.length)));
    this.#blocks.length = 0;
  }
}
