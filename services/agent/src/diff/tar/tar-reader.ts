import { archiveError } from './archive-error.ts';
import { BlockFeed } from './block-feed.ts';
import { type ByteString, printable } from './byte-string.ts';
import { ExtendedHeaders } from './extended-headers.ts';
import { BLOCK_BYTES, decodeHeaderBlock, type HeaderBlock } from './header-block.ts';
import {
  checkRegions,
  decodeOldGnuRealSize,
  decodeOldGnuRegions,
  MAX_REGIONS,
  SparseMapDecoder,
  type SparseRegion,
} from './sparse.ts';
import type { TarEntry, TarEntryType, TarSink } from './tar-entry.ts';

/** As in Go's reader, which is containerd's. Holds the longest name and all attributes that Linux can store. */
const MAX_EXTENDED_HEADER_BYTES = 2 ** 20;

/** uid and gid are 32 bits wide, and the highest number means "leave it" to chown(2). */
const MAX_ID = 2 ** 32 - 2;

const TYPES: ReadonlyMap<string, TarEntryType> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['1', 'hard-link'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
  ['7', 'file'],
  ['S', 'file'],
]);

/** How many bytes of a file are in the archive, how many it has with its holes, and where they belong. */
interface FileLayout {
  storedBytes: number;
  sizeBytes: number;
  regions: readonly SparseRegion[];
  sparse: boolean;
}

/**
 * Reads an archive that is pushed to it in chunks of any size, and passes its members to a sink, synchronously and
 * without holding more than one extended header. What follows the end of the archive is ignored.
 * Throws InvalidArgument for what is no archive, and whatever the sink throws; it is not to be used after that.
 * Bytes stay bytes: names and attributes need not be UTF-8, and those of `security.capability` are not.
 */
export class TarReader {
  private readonly sink: TarSink;
  private readonly feed = new BlockFeed();
  /** Whether nothing is missing when the archive ends here: the last member is complete, but for its padding. */
  private mayEnd = true;
  private zeroBlocks = 0;
  private extended = new ExtendedHeaders();
  /** The name of the member at hand, for messages. */
  private name: ByteString | undefined;

  constructor(sink: TarSink) {
    this.sink = sink;
    this.wantHeader();
  }

  push(chunk: Buffer): void {
    this.feed.push(chunk);
  }

  /** To be called after the last chunk: an archive that ends inside a member is refused, as it was cut off. */
  finish(): void {
    if (this.mayEnd && !this.feed.isInsideBlock) return;
    throw archiveError(
      this.name === undefined ? 'ends inside a header' : `ends inside or after ${this.current}`,
    );
  }

  private get current(): string {
    return printable(this.name ?? '');
  }

  private wantHeader(): void {
    this.feed.wantBlocks((block) => this.readHeader(block));
  }

  private readHeader(block: Buffer): void {
    const header = decodeHeaderBlock(block);
    if (!header) {
      this.zeroBlocks++;
      if (this.zeroBlocks === 2) this.feed.wantNothing();
      return;
    }
    if (this.zeroBlocks > 0) throw archiveError('lone block of zeros between members');
    if (header.type === 'g') {
      // Records for the whole archive: used by no tool that makes layers, and ignored by containerd, as are those for
      // the next member that stand before them.
      this.extended = new ExtendedHeaders();
      this.skip(paddedSize(checkSize(header.sizeBytes)));
      return;
    }
    this.mayEnd = false;
    this.name = this.extended.name ?? header.name;
    if (header.type === 'x' || header.type === 'L' || header.type === 'K') this.readExtended(header);
    else this.readMember(header, block);
  }

  private readExtended({ type, sizeBytes }: HeaderBlock): void {
    checkSize(sizeBytes);
    if (sizeBytes > MAX_EXTENDED_HEADER_BYTES) throw archiveError(`extended header of ${sizeBytes} bytes`);
    this.feed.wantAll(sizeBytes, (data) => {
      if (type === 'x') this.extended = this.extended.withPax(data);
      else this.extended.addGnuName(type, data);
      this.skip(paddedSize(sizeBytes) - sizeBytes);
    });
  }

  private readMember(header: HeaderBlock, block: Buffer): void {
    const type = TYPES.get(header.type);
    if (!type) throw archiveError(`${this.current} has the unknown type ${JSON.stringify(header.type)}`);
    // From before POSIX, when directories had no type of their own.
    const oldDirectory = header.type === '\0' && (this.extended.name ?? header.name).endsWith('/');
    if (type !== 'file' || oldDirectory) {
      // Without data, whatever the size field says: as in Go's reader.
      this.sink.entry(this.entryOf(header, oldDirectory ? 'directory' : type));
      this.endMember(0);
      return;
    }
    const storedBytes = checkSize(this.extended.sizeBytes ?? header.sizeBytes);
    if (header.type === 'S') this.readOldGnuSparse(header, block, storedBytes);
    else this.readFile(header, storedBytes);
  }

  private readFile(header: HeaderBlock, storedBytes: number): void {
    const { sparse } = this.extended;
    if (!sparse) {
      const regions = [{ offset: 0, lengthBytes: storedBytes }];
      this.readData(header, { storedBytes, sizeBytes: storedBytes, regions, sparse: false });
      return;
    }
    const { regions, sizeBytes = storedBytes } = sparse;
    if (regions !== 'in-data') {
      this.readData(header, { storedBytes, sizeBytes, regions, sparse: true });
      return;
    }
    const decoder = new SparseMapDecoder();
    this.feed.wantBlocks((block) => {
      const decoded = decoder.push(block);
      const left = storedBytes - decoder.sizeBytes;
      if (left < 0) throw archiveError(`${this.current} has a sparse map beyond its end`);
      if (decoded) this.readData(header, { storedBytes: left, sizeBytes, regions: decoded, sparse: true });
    });
  }

  private readOldGnuSparse(header: HeaderBlock, block: Buffer, storedBytes: number): void {
    const sizeBytes = decodeOldGnuRealSize(block);
    const { regions, more } = decodeOldGnuRegions(block, 'header');
    const finish = () => this.readData(header, { storedBytes, sizeBytes, regions, sparse: true });
    if (!more) {
      finish();
      return;
    }
    this.feed.wantBlocks((extension) => {
      const next = decodeOldGnuRegions(extension, 'extension');
      regions.push(...next.regions);
      if (regions.length > MAX_REGIONS) throw archiveError(`${this.current} has too long a sparse map`);
      if (!next.more) finish();
    });
  }

  private readData(header: HeaderBlock, { storedBytes, sizeBytes, regions, sparse }: FileLayout): void {
    if (sparse) checkRegions(regions, storedBytes, sizeBytes);
    this.sink.entry({ ...this.entryOf(header, 'file'), sizeBytes, sparse });
    const filled = regions.filter(({ lengthBytes }) => lengthBytes > 0);
    this.readRegions(filled, 0, storedBytes);
  }

  private readRegions(regions: readonly SparseRegion[], index: number, storedBytes: number): void {
    const region = regions[index];
    if (!region) {
      this.endMember(storedBytes);
      return;
    }
    this.feed.wantPieces(
      region.lengthBytes,
      (piece, position) => this.sink.data(piece, region.offset + position),
      () => this.readRegions(regions, index + 1, storedBytes),
    );
  }

  private endMember(storedBytes: number): void {
    this.sink.end();
    this.extended = new ExtendedHeaders();
    this.mayEnd = true;
    this.skip(paddedSize(storedBytes) - storedBytes);
  }

  /** What belongs to no member; then comes a header. */
  private skip(sizeBytes: number): void {
    this.feed.wantPieces(
      sizeBytes,
      () => {},
      () => this.wantHeader(),
    );
  }

  private entryOf(header: HeaderBlock, type: TarEntryType): TarEntry {
    const { extended } = this;
    const uid = extended.uid ?? header.uid;
    const gid = extended.gid ?? header.gid;
    if (uid < 0 || uid > MAX_ID || gid < 0 || gid > MAX_ID) {
      throw archiveError(`${this.current} has an owner beyond 32 bits`);
    }
    const mtime = extended.mtime ?? { seconds: header.mtimeSeconds, nanoseconds: 0 };
    return {
      name: extended.name ?? header.name,
      type,
      mode: header.mode & 0o7777,
      uid,
      gid,
      sizeBytes: 0,
      mtime,
      atime: extended.atime ?? mtime,
      linkName: extended.linkName ?? header.linkName,
      major: header.major,
      minor: header.minor,
      xattrs: extended.xattrs,
      sparse: false,
    };
  }
}

function checkSize(sizeBytes: number): number {
  if (sizeBytes < 0) throw archiveError('member of a negative size');
  return sizeBytes;
}

function paddedSize(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}
