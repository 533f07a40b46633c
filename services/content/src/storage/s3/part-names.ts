import type { ListedObject } from './s3-bucket.ts';

/** What an object below an ingest holds, by its name alone: bytes `start` up to `end` of what one writer has received. */
export interface StoredPart {
  readonly key: string;
  readonly epoch: bigint;
  /** Counts how often the writer began at zero. */
  readonly run: number;
  readonly start: number;
  readonly end: number;
}

const NAME = /\/(\d+)\.(\d+)\/(\d+)-(\d+)$/;

/**
 * A name says all that the bytes depend on, so no object is ever written over with other bytes: a request that is heard late
 * changes nothing. `directory` is the ingest's.
 */
export function partKey(directory: string, part: Omit<StoredPart, 'key'>): string {
  const { epoch, run, start, end } = part;
  return `${directory}${epoch}.${run}/${String(start).padStart(15, '0')}-${end - start}`;
}

/** Undefined for an object that is no part, or not as long as its name says. */
export function parsePart({
  key,
  sizeBytes,
}: Pick<ListedObject, 'key' | 'sizeBytes'>): StoredPart | undefined {
  const [, epoch, run, start, length] = NAME.exec(key) ?? [];
  if (epoch === undefined || Number(length) !== sizeBytes) return undefined;
  const [from, to] = [Number(start), Number(start) + sizeBytes];
  return { key, epoch: BigInt(epoch), run: Number(run), start: from, end: to };
}
