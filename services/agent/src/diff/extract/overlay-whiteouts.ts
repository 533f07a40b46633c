import { FileType, fsetxattr, isErrno, lchownat, lstatat, mknodat } from '@longshore/linux';
import { type ByteString, toBytes } from '../tar/byte-string.ts';
import type { TarEntry } from '../tar/tar-entry.ts';
import type { OpenDirectory } from './layer-root.ts';
import type { WhiteoutStore } from './whiteout.ts';

export type OpaqueXattr = 'trusted.overlay.opaque' | 'user.overlay.opaque';

/** Deletions as overlayfs has them in an upper directory. Source: linux Documentation/filesystems/overlayfs.rst. */
export class OverlayWhiteouts implements WhiteoutStore {
  private readonly opaqueXattr: OpaqueXattr;

  constructor(opaqueXattr: OpaqueXattr) {
    this.opaqueXattr = opaqueXattr;
  }

  /** Nothing is removed: what the directory itself has of this name makes it EEXIST, as in containerd. */
  remove(directory: OpenDirectory, name: ByteString, entry: TarEntry): void {
    const bytes = toBytes(name);
    try {
      mknodat(directory.fd, bytes, FileType.Character, 0);
    } catch (error) {
      if (isErrno(error, 'EEXIST') && isWhiteout(directory.fd, bytes)) return;
      throw error;
    }
    lchownat(directory.fd, bytes, entry.uid, entry.gid);
  }

  makeOpaque(directory: OpenDirectory): void {
    fsetxattr(directory.fd, this.opaqueXattr, Buffer.from('y'));
  }

  unpacked(): void {
    // Markers hide the lower directories only, so what came before them is safe.
  }

  /** Without the whiteout, the overlay would merge the directory with the one that was to be gone. */
  replacedByDirectory(directory: OpenDirectory, wasWhiteout: boolean): void {
    if (wasWhiteout) this.makeOpaque(directory);
  }
}

/** Whether a name is overlayfs's own sign of a deletion: a character device 0:0. */
export function isWhiteout(directory: number, name: Buffer): boolean {
  const { mode, deviceMajor, deviceMinor } = lstatat(directory, name);
  return (mode & FileType.Mask) === FileType.Character && deviceMajor === 0 && deviceMinor === 0;
}
