import { type Dirent, lstatSync, type Stats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { isErrno } from '@longshore/linux';
import type { Usage } from './snapshotter.ts';

/** The unit of `st_blocks`, whatever the file system's own block size. */
const BLOCK_BYTES = 512;
/** About a millisecond's work: other callers wait no longer than that. */
const FILES_PER_TURN = 200;

const SEPARATOR = Buffer.from('/');

/**
 * What a directory tree takes on disk: allocated blocks and inodes, the directory itself among them, files with
 * several names once. What vanishes meanwhile is left out. Source: containerd continuity fs/du_unix.go.
 */
export async function diskUsage(directory: string, signal?: AbortSignal): Promise<Usage> {
  const scan = new Scan(signal);
  await scan.add(Buffer.from(directory));
  return { sizeBytes: BigInt(scan.blocks * BLOCK_BYTES), inodes: BigInt(scan.inodes) };
}

class Scan {
  blocks = 0;
  inodes = 0;
  #visited = 0;
  readonly #signal: AbortSignal | undefined;
  /** Files seen that have further names. */
  readonly #linked = new Set<string>();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Names are bytes: those of a layer need not be UTF-8. */
  async add(top: Buffer): Promise<void> {
    this.#count(top);
    const directories = [top];
    for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
      for (const entry of await entriesOf(next)) {
        const path = Buffer.concat([next, SEPARATOR, entry.name]);
        if (this.#count(path) && entry.isDirectory()) directories.push(path);
        if (++this.#visited % FILES_PER_TURN === 0) await this.#pause();
      }
    }
  }

  /** Synchronous, because a thread's round trip costs many times what the call does. */
  #count(path: Buffer): boolean {
    const stats = lstat(path);
    if (!stats) return false;
    if (stats.nlink > 1 && !stats.isDirectory()) {
      const identity = `${stats.dev}:${stats.ino}`;
      if (this.#linked.has(identity)) return true;
      this.#linked.add(identity);
    }
    this.blocks += stats.blocks;
    this.inodes++;
    return true;
  }

  async #pause(): Promise<void> {
    await setImmediate();
    this.#signal?.throwIfAborted();
  }
}

function lstat(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function entriesOf(directory: Buffer): Promise<Dirent<Buffer>[]> {
  try {
    return await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
