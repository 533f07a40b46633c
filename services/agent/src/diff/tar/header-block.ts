import { archiveError } from './archive-error.ts';
import { type ByteString, fromBytes } from './byte-string.ts';

export const BLOCK_BYTES = 512;

/** The fields of one header block as they stand there. Source: POSIX pax "ustar", GNU tar tar.h, Go archive/tar. */
export interface HeaderBlock {
  name: ByteString;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtimeSeconds: number;
  /** One character; NUL where old writers left it out. */
  type: string;
  linkName: ByteString;
  major: number;
  minor: number;
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const CHECKSUM = { offset: 148, length: 8 };
const SPACE = 0x20;
const DIGIT_0 = 0x30;

/** `undefined` for a block of zeros, two of which end an archive. Throws InvalidArgument. */
export function decodeHeaderBlock(block: Buffer): HeaderBlock | undefined {
  if (block.equals(ZERO_BLOCK)) return undefined;
  const expected = decodeNumber(block, CHECKSUM.offset, CHECKSUM.length);
  if (!hasChecksum(block, expected)) throw archiveError('header checksum differs');
  const hasDevice = isUstar(block) || isGnu(block);
  return {
    name: prefixOf(block) + decodeText(block, 0, 100),
    mode: decodeNumber(block, 100, 8),
    uid: decodeNumber(block, 108, 8),
    gid: decodeNumber(block, 116, 8),
    sizeBytes: decodeNumber(block, 124, 12),
    mtimeSeconds: decodeNumber(block, 136, 12),
    type: String.fromCharCode(block[156]!),
    linkName: decodeText(block, 157, 100),
    major: hasDevice ? decodeNumber(block, 329, 8) : 0,
    minor: hasDevice ? decodeNumber(block, 337, 8) : 0,
  };
}

/** Octal digits, or a number in base 256 where the first bit is set. Negative only in base 256. */
export function decodeNumber(block: Buffer, offset: number, length: number): number {
  if (block[offset]! & 0x80) return decodeBase256(block, offset, length);
  const end = offset + length;
  let index = offset;
  while (index < end && isFiller(block[index]!)) index++;
  let value = 0;
  for (; index < end && !isFiller(block[index]!); index++) {
    const digit = block[index]! - DIGIT_0;
    if (digit < 0 || digit > 7) throw archiveError('header has something else than a number in octal');
    value = value * 8 + digit;
  }
  return value;
}

function isFiller(byte: number): boolean {
  return byte === SPACE || byte === 0;
}

function decodeBase256(block: Buffer, offset: number, length: number): number {
  // The uppermost bit only tells the encoding; the rest is a number in two's complement.
  const first = block[offset]! & 0x7f;
  let value = first & 0x40 ? first - 0x80 : first;
  for (let index = 1; index < length; index++) value = value * 256 + block[offset + index]!;
  if (!Number.isSafeInteger(value)) throw archiveError('header has a number beyond 53 bits');
  return value;
}

/** Old writers summed signed characters. */
function hasChecksum(block: Buffer, expected: number): boolean {
  let unsigned = SPACE * CHECKSUM.length;
  let signed = unsigned;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    if (index === CHECKSUM.offset) index += CHECKSUM.length;
    const byte = block[index]!;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  return expected === unsigned || expected === signed;
}

function isUstar(block: Buffer): boolean {
  return block.toString('latin1', 257, 263) === 'ustar\0';
}

function isGnu(block: Buffer): boolean {
  return block.toString('latin1', 257, 265) === 'ustar  \0';
}

/** Where ustar has a prefix, GNU has times and the list of a sparse file, and `star` a shorter prefix. */
function prefixOf(block: Buffer): ByteString {
  if (!isUstar(block)) return '';
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = decodeText(block, 345, isStar ? 131 : 155);
  return prefix === '' ? '' : `${prefix}/`;
}

function decodeText(block: Buffer, offset: number, length: number): ByteString {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return fromBytes(end < 0 ? field : field.subarray(0, end));
}
