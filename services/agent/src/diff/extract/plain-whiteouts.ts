import { close } from '@longshore/linux';
import type { ByteString } from '../tar/byte-string.ts';
import type { LayerRoot, OpenDirectory } from './layer-root.ts';
import { listDirectory, removeEntry } from './remove-entry.ts';
import type { WhiteoutStore } from './whiteout.ts';

/** Deletions in a directory that already holds the layers below: what they name is removed. */
export class PlainWhiteouts implements WhiteoutStore {
  private readonly root: LayerRoot;
  /** The names that this layer brought, or brought something below, by directory. */
  private readonly brought = new Map<ByteString, Set<ByteString>>();
  /** Directories that hold nothing but what this layer brought: no marker needs to look there again. */
  private readonly swept = new Set<ByteString>();

  constructor(root: LayerRoot) {
    this.root = root;
  }

  remove(directory: OpenDirectory, name: ByteString): void {
    if (removeEntry(directory.fd, name)) this.root.forget();
  }

  makeOpaque(directory: OpenDirectory): void {
    this.removeOlder(directory);
  }

  unpacked(directory: OpenDirectory, name: ByteString): void {
    let path = directory.path;
    let child = name;
    for (;;) {
      const names = this.brought.get(path);
      if (names) {
        names.add(child);
        return; // the directories above know of this one
      }
      this.brought.set(path, new Set([child]));
      if (path === '') return;
      const slash = path.lastIndexOf('/');
      child = path.slice(slash + 1);
      path = path.slice(0, Math.max(slash, 0));
    }
  }

  replacedByDirectory(): void {
    // It took the place of a file, so nothing of the layers below is in it.
  }

  private removeOlder(directory: OpenDirectory): void {
    if (this.swept.has(directory.path)) return;
    this.swept.add(directory.path);
    const brought = this.brought.get(directory.path);
    for (const name of listDirectory(directory.fd)) {
      if (!brought?.has(name)) this.remove(directory, name);
      else this.removeOlderIn(directory.path === '' ? name : `${directory.path}/${name}`);
    }
  }

  /** A directory that this layer brought may have been there before, with things in it that are to go. */
  private removeOlderIn(path: ByteString): void {
    const fd = this.root.reopen(path);
    if (fd === undefined) return;
    try {
      this.removeOlder({ fd, path });
    } finally {
      close(fd);
    }
  }
}
