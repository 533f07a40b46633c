import { fstatSync, readSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { LongshoreError } from '@longshore/errors';
import {
  AT_FDCWD,
  close,
  endOf,
  OpenFlag,
  openat,
  type ProcessEnd,
  setPipeSize,
  spawnReading,
} from '@longshore/linux';
import { algorithmOf, type Digest, Digester } from '@longshore/oci';
import type { Archive } from './archive.ts';
import { isGzip } from './decompress.ts';
import { archiveError } from './tar/archive-error.ts';

/** As much as fits a pipe that root has not allowed to be larger. */
const CHUNK_BYTES = 1024 * 1024;

/** It has closed its output, so it is about to end. */
const END_POLL_MS = 1;

/**
 * A gzip file that a program decompresses. Its output is read without a copy, and without a thread in between: the thread
 * that reads it waits meanwhile. What the file holds is verified before.
 */
export class GunzippedFile implements Archive {
  readonly compressedBytes: number;
  private readonly path: string;
  private readonly program: string;

  private constructor(path: string, compressedBytes: number, program: string) {
    this.path = path;
    this.compressedBytes = compressedBytes;
    this.program = program;
  }

  /** Undefined for a file that is no gzip stream. Throws DataLoss for one that has another digest. */
  static verified(path: string, digest: Digest | undefined, program: string): GunzippedFile | undefined {
    const fd = openat(AT_FDCWD, path, OpenFlag.ReadOnly);
    try {
      const head = Buffer.alloc(4);
      readSync(fd, head, 0, head.length, 0);
      if (!isGzip(head)) return undefined;
      if (digest) verify(fd, digest);
      return new GunzippedFile(path, fstatSync(fd).size, program);
    } finally {
      close(fd);
    }
  }

  /** Throws InvalidArgument for a damaged stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { pid, stdout } = this.start();
    let end: ProcessEnd | undefined;
    try {
      setPipeSize(stdout, CHUNK_BYTES);
      const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      for (;;) {
        const size = readSync(stdout, chunk, 0, chunk.length, null);
        if (size === 0) break;
        yield chunk.subarray(0, size);
        // Whoever gives the layer up is heard.
        await setImmediate();
      }
      end = await endedBy(pid);
    } finally {
      close(stdout);
      if (!end) {
        // Nobody reads it any more.
        process.kill(pid, 'SIGKILL');
        await endedBy(pid);
      }
    }
    if (!('code' in end) || end.code !== 0) throw archiveError('damaged gzip stream');
  }

  private start(): { pid: number; stdout: number } {
    const fd = openat(AT_FDCWD, this.path, OpenFlag.ReadOnly);
    try {
      return spawnReading({ path: this.program, args: ['-dc'], env: {} }, fd);
    } finally {
      close(fd);
    }
  }
}

async function endedBy(pid: number): Promise<ProcessEnd> {
  for (;;) {
    const end = endOf(pid);
    if (end) return end;
    await sleep(END_POLL_MS);
  }
}

function verify(fd: number, digest: Digest): void {
  const digester = new Digester(algorithmOf(digest));
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const size = readSync(fd, chunk, 0, chunk.length, position);
    if (size === 0) break;
    digester.update(chunk.subarray(0, size));
    position += size;
  }
  if (digester.digest() !== digest) {
    throw new LongshoreError('DataLoss', `blob ${digest}: its file holds other bytes: data loss`);
  }
}
