import type { Timespec } from '@longshore/linux';
import { archiveError } from './archive-error.ts';
import { type ByteString, fromBytes, printable } from './byte-string.ts';
import { decodePaxRecords, paxInteger, paxName, paxTime } from './pax-records.ts';
import { decodeSparseList, type SparseRegion } from './sparse.ts';

/** How a pax archive says that a file has holes: the map is in the header, or in front of the data. */
export interface PaxSparse {
  regions: SparseRegion[] | 'in-data';
  sizeBytes: number | undefined;
}

const XATTR_PREFIX = 'SCHILY.xattr.';

/** What the headers in front of a member say of it, in place of its own block. For one member each. */
export class ExtendedHeaders {
  private paxPath: ByteString | undefined;
  private paxLinkPath: ByteString | undefined;
  private gnuPath: ByteString | undefined;
  private gnuLinkPath: ByteString | undefined;
  private readonly sparseList: string[] = [];
  private sparseName: ByteString | undefined;
  private sparseRealSize: number | undefined;
  private sparseMajor: string | undefined;
  private sparseMinor: string | undefined;
  private hasSparseList = false;

  sizeBytes: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  mtime: Timespec | undefined;
  atime: Timespec | undefined;
  readonly xattrs: [name: ByteString, value: Buffer][] = [];

  /** pax wins over GNU, as in Go's reader; a sparse file's own name over both. */
  get name(): ByteString | undefined {
    return this.sparseName ?? this.paxPath ?? this.gnuPath;
  }

  get linkName(): ByteString | undefined {
    return this.paxLinkPath ?? this.gnuLinkPath;
  }

  get sparse(): PaxSparse | undefined {
    const { sparseMajor: major, sparseMinor: minor } = this;
    if (major === '1' && minor === '0') return { regions: 'in-data', sizeBytes: this.sparseRealSize };
    if (major !== undefined && major !== '0')
      throw archiveError(`sparse format ${printable(major)} is not known`);
    if (!this.hasSparseList) return undefined;
    return { regions: decodeSparseList(this.sparseList), sizeBytes: this.sparseRealSize };
  }

  /** The data of a GNU `L` or `K` header. */
  addGnuName(type: string, data: Buffer): void {
    const end = data.indexOf(0);
    const name = fromBytes(end < 0 ? data : data.subarray(0, end));
    if (type === 'L') this.gnuPath = name;
    else this.gnuLinkPath = name;
  }

  /**
   * With the data of a pax `x` header in place of an earlier one's, as in Go's reader: however many stand in front of a
   * member, one is held. An empty value means: as in the block.
   */
  withPax(data: Buffer): ExtendedHeaders {
    const next = new ExtendedHeaders();
    next.gnuPath = this.gnuPath;
    next.gnuLinkPath = this.gnuLinkPath;
    next.addPax(data);
    return next;
  }

  private addPax(data: Buffer): void {
    for (const [key, value] of decodePaxRecords(data)) {
      if (key.startsWith(XATTR_PREFIX))
        this.xattrs.push([key.slice(XATTR_PREFIX.length), Buffer.from(value)]);
      else if (key.startsWith('GNU.sparse.')) this.addSparse(key, value);
      else if (value.length > 0) this.addRecord(key, value);
    }
  }

  private addRecord(key: ByteString, value: Buffer): void {
    if (key === 'path') this.paxPath = paxName(value);
    else if (key === 'linkpath') this.paxLinkPath = paxName(value);
    else if (key === 'size') this.sizeBytes = paxInteger(value);
    else if (key === 'uid') this.uid = paxInteger(value);
    else if (key === 'gid') this.gid = paxInteger(value);
    else if (key === 'mtime') this.mtime = paxTime(value);
    else if (key === 'atime') this.atime = paxTime(value);
  }

  /** Source: GNU tar manual, "Storing Sparse Files". Formats 0.0 and 0.1 list the regions, 1.0 names its version. */
  private addSparse(key: ByteString, value: Buffer): void {
    const text = value.toString('latin1');
    if (key === 'GNU.sparse.name') this.sparseName = paxName(value);
    else if (key === 'GNU.sparse.realsize' || key === 'GNU.sparse.size')
      this.sparseRealSize = paxInteger(value);
    else if (key === 'GNU.sparse.major') this.sparseMajor = text;
    else if (key === 'GNU.sparse.minor') this.sparseMinor = text;
    else if (key === 'GNU.sparse.numblocks') this.hasSparseList = true;
    else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') this.sparseList.push(text);
    else if (key === 'GNU.sparse.map') for (const number of text.split(',')) this.sparseList.push(number);
  }
}
