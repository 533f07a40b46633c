import { invalidArgument } from '@longshore/errors';

/** One entry of a layer. Paths have no leading slash; a directory's may end in one. */
export interface TarEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Permission bits; default 0755 for a directory, 0644 for a file. */
  mode?: number;
  uid?: number;
  gid?: number;
  content?: Buffer | string;
  /** Of a link. */
  target?: string;
  /** Seconds since 1970; default 0, so that the same entries give the same bytes. */
  mtimeS?: number;
}

const BLOCK_BYTES = 512;
const TYPE_FLAGS = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;
const MAX_NAME_BYTES = 100;

/** An archive in the POSIX ustar format. Throws InvalidArgument for a name that does not fit it. */
export function makeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? '');
    return [header(entry, content.length), content, padding(content.length)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** Source: pax(1), ustar interchange format. */
function header(entry: TarEntry, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  writeText(block, 0, entry.path, MAX_NAME_BYTES);
  writeOctal(block, 100, 8, entry.mode ?? (entry.type === 'directory' ? 0o755 : 0o644));
  writeOctal(block, 108, 8, entry.uid ?? 0);
  writeOctal(block, 116, 8, entry.gid ?? 0);
  writeOctal(block, 124, 12, sizeBytes);
  writeOctal(block, 136, 12, entry.mtimeS ?? 0);
  block.write('        ', 148, 'latin1');
  block.write(TYPE_FLAGS[entry.type], 156, 'latin1');
  writeText(block, 157, entry.target ?? '', MAX_NAME_BYTES);
  block.write('ustar\u000000', 257, 'latin1');
  // The sum is taken with its own field as spaces.
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}

function writeText(block: Buffer, offset: number, text: string, maxBytes: number): void {
  if (Buffer.byteLength(text) > maxBytes)
    throw invalidArgument(`name "${text}" is longer than ${maxBytes} bytes`);
  block.write(text, offset);
}

function writeOctal(block: Buffer, offset: number, widthBytes: number, value: number): void {
  block.write(`${value.toString(8).padStart(widthBytes - 1, '0')}\u0000`, offset, 'latin1');
}

function padding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}
