import { archiveError } from './archive-error.ts';
import { BLOCK_BYTES, decodeNumber } from './header-block.ts';

/** Where a run of stored bytes belongs in a file with holes. */
export interface SparseRegion {
  offset: number;
  lengthBytes: number;
}

/** As many as a 1 MiB map can hold; GNU tar writes one for each extent. */
export const MAX_REGIONS = 65_536;
const DECIMAL = /^\d{1,16}$/;

/** Four regions in an old GNU header, and 21 in each block that may follow it. Source: GNU tar tar.h. */
const OLD_GNU = {
  header: { offset: 386, count: 4, more: 482 },
  extension: { offset: 0, count: 21, more: 504 },
  regionBytes: 24,
  fieldBytes: 12,
  realSizeOffset: 483,
} as const;

/** The regions in a block of an old GNU sparse file, and whether one more block of them follows. */
export function decodeOldGnuRegions(
  block: Buffer,
  place: 'header' | 'extension',
): { regions: SparseRegion[]; more: boolean } {
  const { offset: start, count, more } = OLD_GNU[place];
  const regions: SparseRegion[] = [];
  for (let index = 0; index < count; index++) {
    const offset = start + index * OLD_GNU.regionBytes;
    if (block[offset] === 0) break;
    regions.push({
      offset: decodeNumber(block, offset, OLD_GNU.fieldBytes),
      lengthBytes: decodeNumber(block, offset + OLD_GNU.fieldBytes, OLD_GNU.fieldBytes),
    });
  }
  return { regions, more: block[more] !== 0 };
}

/** The size of an old GNU sparse file, holes counted. */
export function decodeOldGnuRealSize(block: Buffer): number {
  return decodeNumber(block, OLD_GNU.realSizeOffset, OLD_GNU.fieldBytes);
}

/** The comma-separated list of pax sparse formats 0.0 and 0.1: offset, length, offset, length … */
export function decodeSparseList(list: readonly string[]): SparseRegion[] {
  const numbers = list.filter((item) => item !== '').map(toNumber);
  if (numbers.length % 2 !== 0) throw archiveError('sparse map of an odd length');
  const regions: SparseRegion[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    regions.push({ offset: numbers[index]!, lengthBytes: numbers[index + 1]! });
  }
  return regions;
}

/** The map of pax sparse format 1.0, which stands before the data: a count, then offsets and lengths, one per line. */
export class SparseMapDecoder {
  private text = '';
  private readonly numbers: number[] = [];

  /** Bytes of the map seen so far; it is padded to whole blocks. */
  sizeBytes = 0;

  /** The regions, once the block that ends the map was given. */
  push(block: Buffer): SparseRegion[] | undefined {
    this.sizeBytes += BLOCK_BYTES;
    const lines = (this.text + block.toString('latin1')).split('\n');
    this.text = lines.pop()!;
    for (const line of lines) {
      if (this.isComplete()) break;
      this.numbers.push(toNumber(line));
    }
    if (this.text.length > BLOCK_BYTES) throw archiveError('malformed sparse map');
    if (!this.isComplete()) return undefined;
    return decodeSparseList(this.numbers.slice(1).map(String));
  }

  private isComplete(): boolean {
    const count = this.numbers[0];
    if (count === undefined) return false;
    if (count > MAX_REGIONS) throw archiveError(`sparse map of ${count} regions`);
    return this.numbers.length === 1 + 2 * count;
  }
}

/** Refuses regions out of order, overlapping, beyond the end, or of another sum than what is stored. */
export function checkRegions(regions: readonly SparseRegion[], storedBytes: number, sizeBytes: number): void {
  if (regions.length > MAX_REGIONS) throw archiveError(`sparse map of ${regions.length} regions`);
  let end = 0;
  let sum = 0;
  for (const { offset, lengthBytes } of regions) {
    if (offset < end || lengthBytes < 0) throw archiveError('sparse map out of order');
    end = offset + lengthBytes;
    sum += lengthBytes;
  }
  if (end > sizeBytes || sum !== storedBytes) throw archiveError('sparse map does not fit the file');
}

function toNumber(text: string): number {
  if (!DECIMAL.test(text)) throw archiveError('sparse map has something else than a number');
  return Number(text);
}
