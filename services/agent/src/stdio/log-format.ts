/** Which of a process's outputs; a terminal has the first alone. */
export type OutputStream = 'stdout' | 'stderr';

/** A longer line is kept in parts. Source: Kubernetes' kubelet and containerd's CRI, 16 KiB each. */
export const MAX_PART_BYTES = 16 * 1024;
/** Entries are handed on in pieces of at most this, whole ones. */
export const MAX_PIECE_BYTES = 64 * 1024;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const FULL = 0x46;
const NANOSECONDS_PER_MS = 1_000_000n;
/** Shorter ones are copied faster byte by byte. */
const SHORT_BYTES = 48;
/** `<time> stdout F ` has 40; a file of somebody else's may write its time shorter. */
const STREAM_AND_TAG_BYTES = 'stdout F '.length;

/** Filled and handed on before {@link formatOutput} returns, so one will do for all. */
const piece = Buffer.allocUnsafeSlow(MAX_PIECE_BYTES);

/**
 * Makes log entries of what a process wrote, one for each line or part of one: `<time> stdout|stderr F|P <bytes>\n`, where P says
 * that the line goes on. `write` gets whole entries, in a buffer that is used again. Source: CRI's log format.
 */
export function formatOutput(
  stream: OutputStream,
  timeNs: bigint,
  chunk: Buffer,
  write: (entries: Buffer) => void,
): void {
  const time = formatTime(timeNs);
  const full = Buffer.from(`${time} ${stream} F `);
  const part = Buffer.from(`${time} ${stream} P `);
  let filled = 0;
  let newline = chunk.indexOf(NEWLINE);
  for (let from = 0; from < chunk.length; ) {
    const lineEnd = newline < 0 ? chunk.length : newline;
    const end = Math.min(lineEnd, from + MAX_PART_BYTES);
    const isFull = end === newline;
    if (filled + full.length + (end - from) + 1 > MAX_PIECE_BYTES) {
      write(piece.subarray(0, filled));
      filled = 0;
    }
    filled = append(isFull ? full : part, 0, full.length, filled);
    filled = append(chunk, from, end, filled);
    piece[filled++] = NEWLINE;
    from = isFull ? end + 1 : end;
    if (isFull) newline = chunk.indexOf(NEWLINE, from);
  }
  if (filled > 0) write(piece.subarray(0, filled));
}

function append(source: Buffer, from: number, end: number, at: number): number {
  if (end - from > SHORT_BYTES) {
    source.copy(piece, at, from, end);
    return at + end - from;
  }
  let filled = at;
  for (let index = from; index < end; index++) piece[filled++] = source[index]!;
  return filled;
}

/** Where in a buffer one entry's parts are. */
export interface EntryPlace {
  stream: OutputStream;
  timeNs: bigint;
  /** Whether its line ends with it. */
  isFull: boolean;
  /** Its bytes are `[from, end)`, without the newline. */
  from: number;
  end: number;
}

/** Reads entries; those that follow one another have the same time as a rule, which is then read once. */
export class EntryParser {
  #timeText = '';
  #timeNs = 0n;

  /** The entry that begins at `start` and whose newline is at `end`; undefined for what is none. */
  parse(bytes: Buffer, start: number, end: number): EntryPlace | undefined {
    const space = bytes.indexOf(SPACE, start);
    const from = space + 1 + STREAM_AND_TAG_BYTES;
    if (space < 0 || from > end || bytes[from - 1] !== SPACE || bytes[from - 3] !== SPACE) return undefined;
    const stream = bytes.toString('latin1', space + 1, from - 3);
    if (stream !== 'stdout' && stream !== 'stderr') return undefined;
    const timeNs = this.#time(bytes.toString('latin1', start, space));
    return timeNs === undefined ? undefined : { stream, timeNs, isFull: bytes[from - 2] === FULL, from, end };
  }

  #time(text: string): bigint | undefined {
    if (text !== this.#timeText) {
      const timeNs = parseTime(text);
      if (timeNs === undefined) return undefined;
      this.#timeText = text;
      this.#timeNs = timeNs;
    }
    return this.#timeNs;
  }
}

/** RFC 3339 with nine digits of seconds, UTC: as text it has the order of time. */
export function formatTime(timeNs: bigint): string {
  const seconds = new Date(Number(timeNs / NANOSECONDS_PER_MS)).toISOString().slice(0, -'.000Z'.length);
  return `${seconds}.${String(timeNs % 1_000_000_000n).padStart(9, '0')}Z`;
}

function parseTime(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const ms = match ? Date.parse(`${match[1]}${match[3]}`) : Number.NaN;
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * NANOSECONDS_PER_MS + BigInt((match?.[2] ?? '').padEnd(9, '0'));
}
