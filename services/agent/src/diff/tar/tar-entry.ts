import type { Timespec } from '@longshore/linux';
import type { ByteString } from './byte-string.ts';

export type TarEntryType =
  | 'file'
  | 'hard-link'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo';

/** One member of an archive, with what extended headers said of it. Nothing of it is to be trusted. */
export interface TarEntry {
  name: ByteString;
  type: TarEntryType;
  /** Permission and set-id bits, at most 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  /** Of a file with holes: holes counted. 0 for what is no file. */
  sizeBytes: number;
  mtime: Timespec;
  /** That of the last access, where the archive has it; else {@link mtime}. */
  atime: Timespec;
  /** What a link leads to; empty for others. */
  linkName: ByteString;
  /** Of a device; 0 for others. */
  major: number;
  minor: number;
  xattrs: readonly (readonly [name: ByteString, value: Buffer])[];
  /** Whether the file may have holes: then its end need not be among the data. */
  sparse: boolean;
}

/** Receives an archive's members in order: `entry`, then for a file `data` any number of times, then `end`. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** `bytes` are valid during the call only. `position` is the place in the file. */
  data(bytes: Buffer, position: number): void;
  end(): void;
}
