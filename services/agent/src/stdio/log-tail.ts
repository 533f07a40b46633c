import { open } from 'node:fs/promises';
import { isErrno } from '@longshore/linux';
import type { LogFile } from './log-files.ts';
import { EntryParser, MAX_PIECE_BYTES, type OutputStream } from './log-format.ts';

const NEWLINE = 0x0a;

/**
 * The place in the log where its last `lines` lines of these streams begin, or where the log begins when it has no more. A line
 * that has no end yet is one. Reads from the end, no more than it needs.
 */
export async function tailStart(
  files: readonly LogFile[],
  lines: number,
  streams: ReadonlySet<OutputStream>,
): Promise<number> {
  const counter = new LineCounter(lines, streams);
  for (const file of files.toReversed()) {
    const start = await countIn(file, counter);
    if (start !== undefined) return start;
  }
  return files[0]?.start ?? 0;
}

/** The place behind the entry at which the lines are too many; undefined when the file has no more. */
async function countIn({ path, start, end }: LogFile, counter: LineCounter): Promise<number | undefined> {
  try {
    await using file = await open(path);
    // Of the entry that the block before began in.
    let rest: Buffer = Buffer.alloc(0);
    for (let at = end; at > start; ) {
      const length = Math.min(MAX_PIECE_BYTES, at - start);
      at -= length;
      const read = await file.read(Buffer.allocUnsafe(length), 0, length, at - start);
      const bytes = Buffer.concat([read.buffer.subarray(0, read.bytesRead), rest]);
      const firstWhole = at === start ? 0 : bytes.indexOf(NEWLINE) + 1 || bytes.length;
      const excess = counter.countBack(bytes, firstWhole);
      if (excess !== undefined) return at + excess;
      rest = bytes.subarray(0, firstWhole);
    }
    return undefined;
  } catch (error) {
    // Rotated away: what is behind it is all there is.
    if (isErrno(error, 'ENOENT')) return end;
    throw error;
  }
}

class LineCounter {
  readonly #streams: ReadonlySet<OutputStream>;
  readonly #parser = new EntryParser();
  /** Streams of which a later entry was seen: a part before it belongs to a line that is counted. */
  readonly #seen = new Set<OutputStream>();
  #left: number;

  constructor(lines: number, streams: ReadonlySet<OutputStream>) {
    this.#left = lines;
    this.#streams = streams;
  }

  /** Counts the entries from the end back to `first`; answers the place behind the one that is too many. */
  countBack(bytes: Buffer, first: number): number | undefined {
    for (let newline = bytes.lastIndexOf(NEWLINE); newline >= first && newline >= 0; ) {
      const before = newline === 0 ? -1 : bytes.lastIndexOf(NEWLINE, newline - 1);
      const entry = this.#parser.parse(bytes, Math.max(before + 1, first), newline);
      if (entry && this.#streams.has(entry.stream) && (entry.isFull || !this.#seen.has(entry.stream))) {
        if (this.#left === 0) return newline + 1;
        this.#left -= 1;
      }
      if (entry) this.#seen.add(entry.stream);
      newline = before;
    }
    return undefined;
  }
}
