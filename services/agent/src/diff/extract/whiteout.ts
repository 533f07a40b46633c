import { archiveError } from '../tar/archive-error.ts';
import { type ByteString, printable } from '../tar/byte-string.ts';
import type { TarEntry } from '../tar/tar-entry.ts';
import type { OpenDirectory } from './layer-root.ts';

const PREFIX = '.wh.';
const OPAQUE_MARKER = '.wh..wh..opq';

/** What a name in an archive says of the layers below. Source: OCI image-spec layer.md "Whiteouts". */
export type Whiteout = { kind: 'opaque' } | { kind: 'removed'; name: ByteString };

/** The whiteout that an entry's last component stands for; undefined for a file. Refuses one of no name, `.` or `..`. */
export function parseWhiteout(base: ByteString): Whiteout | undefined {
  if (!base.startsWith(PREFIX)) return undefined;
  if (base === OPAQUE_MARKER) return { kind: 'opaque' };
  const name = base.slice(PREFIX.length);
  if (name === '' || name === '.' || name === '..')
    throw archiveError(`invalid whiteout name ${printable(base)}`);
  return { kind: 'removed', name };
}

/** How deletions are recorded, which depends on what the directory is used for. */
export interface WhiteoutStore {
  /** `name` of the layers below is to be gone. */
  remove(directory: OpenDirectory, name: ByteString, entry: TarEntry): void;
  /** Nothing of the layers below is to be seen in `directory`, whatever comes before or after the marker. */
  makeOpaque(directory: OpenDirectory): void;
  /** Told of each entry that this layer brings. */
  unpacked(directory: OpenDirectory, name: ByteString): void;
  /** Told of a directory that took the place of something else. */
  replacedByDirectory(directory: OpenDirectory, wasWhiteout: boolean): void;
}
