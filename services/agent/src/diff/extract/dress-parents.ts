import { setImmediate } from 'node:timers/promises';
import { AT_FDCWD, close, futimens, lchownat, lstatat } from '@longshore/linux';
import type { ByteString } from '../tar/byte-string.ts';
import { applyLowerAttributes } from './attributes.ts';
import { LayerRoot } from './layer-root.ts';
import { LowerDirectories } from './lower-directories.ts';

/** Some milliseconds of work: others have their turn in between. */
const DIRECTORIES_PER_TURN = 50;

interface Overlay {
  upper: string;
  /** The nearest first. */
  lowers: readonly string[];
}

/**
 * Gives directories of an upper directory what the lower ones have under their paths, as if those had been there when
 * they were made; and the root the owner of the one below. What the lower ones do not have stays as it is.
 */
export async function dressParents({ upper, lowers }: Overlay, paths: readonly ByteString[]): Promise<void> {
  const [parent] = lowers;
  if (parent === undefined) return;
  copyOwner(parent, upper);
  if (paths.length === 0) return;
  const below = new LowerDirectories(lowers);
  try {
    const root = new LayerRoot(upper, () => undefined);
    try {
      for (const [n, path] of paths.entries()) {
        if (n % DIRECTORIES_PER_TURN === DIRECTORIES_PER_TURN - 1) await setImmediate();
        dress(root, below, path);
      }
    } finally {
      root.close();
    }
  } finally {
    below.close();
  }
}

function dress(root: LayerRoot, below: LowerDirectories, path: ByteString): void {
  const attributes = below.find(path);
  if (!attributes) return;
  const fd = root.reopen(path);
  if (fd === undefined) return; // a later entry took its place
  try {
    applyLowerAttributes(fd, attributes);
    futimens(fd, attributes.status.atime, attributes.status.mtime);
  } finally {
    close(fd);
  }
}

function copyOwner(from: string, to: string): void {
  const wanted = lstatat(AT_FDCWD, from);
  const own = lstatat(AT_FDCWD, to);
  if (wanted.uid !== own.uid || wanted.gid !== own.gid) lchownat(AT_FDCWD, to, wanted.uid, wanted.gid);
}
