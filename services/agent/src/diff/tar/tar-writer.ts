import { type ByteString, toBytes } from './byte-string.ts';
import { BLOCK_BYTES } from './header-block.ts';
import type { TarEntryType } from './tar-entry.ts';

/** One member to be written. Its bytes, `sizeBytes` of them, follow the header and are padded to whole blocks. */
export interface NewMember {
  /** From the root, without a slash in front; a directory's ends in one. */
  name: ByteString;
  type: TarEntryType;
  /** Permission and set-id bits. */
  mode: number;
  uid: number;
  gid: number;
  /** 0 for what is no file. */
  sizeBytes: number;
  mtimeSeconds: number;
  /** Empty for what is no link. */
  linkName: ByteString;
  /** Of a device; 0 for others. */
  major: number;
  minor: number;
  xattrs: readonly (readonly [name: ByteString, value: Buffer])[];
}

const TYPE_FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  'hard-link': '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
};

const NAME_BYTES = 100;
const MAX_ASCII = 0x7f;

/** Two blocks of zeros. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * A member's header: one block, and in front of it an extended header where the block cannot hold everything. The
 * same bytes as Go's archive/tar writes in format PAX, so that layers get the digests that containerd gives them.
 */
export function encodeHeader(member: NewMember): Buffer {
  const records = recordsOf(member);
  const block = Buffer.alloc(BLOCK_BYTES);
  writeText(block, 0, asciiOf(member.name));
  writeText(block, 157, asciiOf(member.linkName));
  writeOctal(block, 100, 8, member.mode);
  writeOctal(block, 108, 8, member.uid);
  writeOctal(block, 116, 8, member.gid);
  writeOctal(block, 124, 12, member.sizeBytes);
  writeOctal(block, 136, 12, member.mtimeSeconds);
  block.write(TYPE_FLAGS[member.type], 156, 'latin1');
  writeOctal(block, 329, 8, member.major);
  writeOctal(block, 337, 8, member.minor);
  finish(block);
  return records.length === 0 ? block : Buffer.concat([encodeExtended(member.name, records), block]);
}

/** What follows the bytes of a file of this size. */
export function paddingOf(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What the block has no room for, in the order of the keys. */
function recordsOf(member: NewMember): [key: ByteString, value: Buffer][] {
  const records: [ByteString, Buffer][] = member.xattrs.map(([name, value]) => [
    `SCHILY.xattr.${name}`,
    value,
  ]);
  const addText = (key: string, text: ByteString) => {
    if (text.length > NAME_BYTES || !isAscii(text)) records.push([key, toBytes(text)]);
  };
  const addNumber = (key: string, value: number, length: number) => {
    if (!fitsOctal(value, length)) records.push([key, Buffer.from(String(value))]);
  };
  addText('path', member.name);
  addText('linkpath', member.linkName);
  addNumber('uid', member.uid, 8);
  addNumber('gid', member.gid, 8);
  addNumber('size', member.sizeBytes, 12);
  addNumber('mtime', member.mtimeSeconds, 12);
  return records.sort(([a], [b]) => (a < b ? -1 : 1));
}

function encodeExtended(name: ByteString, records: readonly [ByteString, Buffer][]): Buffer {
  const data = Buffer.concat(records.map(([key, value]) => encodeRecord(key, value)));
  const block = Buffer.alloc(BLOCK_BYTES);
  const slash = name.lastIndexOf('/') + 1;
  const place = `${name.slice(0, slash)}PaxHeaders.0/${name.slice(slash)}`;
  writeText(block, 0, asciiOf(place).slice(0, NAME_BYTES).replace(/\/+$/, ''));
  for (const offset of [100, 108, 116]) writeOctal(block, offset, 8, 0);
  writeOctal(block, 124, 12, data.length);
  writeOctal(block, 136, 12, 0);
  block.write('x', 156, 'latin1');
  finish(block);
  return Buffer.concat([block, data, paddingOf(data.length)]);
}

/** `<length> <key>=<value>\n`, whose length counts itself. */
function encodeRecord(key: ByteString, value: Buffer): Buffer {
  const rest = Buffer.concat([toBytes(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Magic, version and checksum. */
function finish(block: Buffer): void {
  block.write('ustar\x0000', 257, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function writeText(block: Buffer, offset: number, text: string): void {
  block.write(text.slice(0, NAME_BYTES), offset, 'latin1');
  if (text.length <= NAME_BYTES || text[NAME_BYTES - 1] !== '/') return;
  // A name that is cut at a slash would be a directory's for readers that do not know extended headers.
  block[offset + text.slice(0, NAME_BYTES).replace(/\/+$/, '').length] = 0;
}

/** Zero where the number needs an extended header. */
function writeOctal(block: Buffer, offset: number, length: number, value: number): void {
  const digits = (fitsOctal(value, length) ? value : 0).toString(8).padStart(length - 1, '0');
  block.write(digits, offset, 'latin1');
}

function fitsOctal(value: number, length: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

/** For the block, whose text is ASCII; the rest is in the extended header. */
function asciiOf(text: ByteString): string {
  return isAscii(text) ? text : [...text].filter((character) => isAscii(character)).join('');
}

function isAscii(text: ByteString): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > MAX_ASCII) return false;
  }
  return true;
}
