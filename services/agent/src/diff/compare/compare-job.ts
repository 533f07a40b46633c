import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import { LongshoreError } from '@longshore/errors';
import {
  AT_FDCWD,
  close,
  fromErrno,
  isErrno,
  mountAll,
  OpenFlag,
  openat,
  unmountRecursive,
} from '@longshore/linux';
import type { Digest } from '@longshore/oci';
import { changesBetween, type Trees } from './changes.ts';
import type { ComparePlan } from './compare-plan.ts';
import { gathered } from './gathered.ts';
import { LayerArchive } from './layer-archive.ts';

/** Forms in which a layer can be stored. */
export type NewLayerCompression = 'none' | 'gzip' | 'zstd';

export interface CompareJob {
  plan: ComparePlan;
  compression: NewLayerCompression;
  /** What later times of modification become, in seconds since the epoch; Infinity for none. */
  maxMtimeSeconds: number;
  /** Empty directories, to be removed by the caller. */
  mountPoints: { lower: string; upper: string };
}

/** What was written. */
export interface ComparedLayer {
  /** Of the layer as it is stored. */
  digest: Digest;
  sizeBytes: number;
  /** Of the archive. */
  diffId: Digest;
}

/** Uncompressed bytes are handled in pieces of at least this size: large enough that the cost of each does not count. */
const CHUNK_BYTES = 128 * 1024;

/**
 * Writes the layer that leads from one tree to the other, chunk by chunk. Keeps its thread busy with system calls in
 * between: not for an event loop that serves. `checkStop` is called often, and throws to end it.
 */
export async function runCompareJob(
  job: CompareJob,
  write: (chunk: Buffer) => Promise<void>,
  checkStop: () => void,
): Promise<ComparedLayer> {
  const { plan, mountPoints } = job;
  try {
    await mountAll(plan.lower, mountPoints.lower);
    await mountAll(plan.upper, mountPoints.upper);
    return await compare(job, write, checkStop);
  } finally {
    await unmountRecursive(mountPoints.upper);
    await unmountRecursive(mountPoints.lower);
  }
}

async function compare(
  job: CompareJob,
  write: (chunk: Buffer) => Promise<void>,
  checkStop: () => void,
): Promise<ComparedLayer> {
  const open: number[] = [];
  const opened = (path: string): number => {
    const fd = openat(AT_FDCWD, path, OpenFlag.ReadOnly | OpenFlag.Directory);
    open.push(fd);
    return fd;
  };
  try {
    const { plan, mountPoints, maxMtimeSeconds } = job;
    const trees = {
      lower: opened(mountPoints.lower),
      upper: opened(mountPoints.upper),
      added: plan.added === undefined ? undefined : opened(plan.added),
    };
    const archiveHash = createHash('sha256');
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const archive = hashed(gathered(archiveOf(trees, maxMtimeSeconds, checkStop), CHUNK_BYTES), (chunk) =>
      archiveHash.update(chunk),
    );
    for await (const chunk of compressed(archive, job.compression)) {
      checkStop();
      hash.update(chunk);
      sizeBytes += chunk.length;
      await write(chunk);
    }
    return {
      digest: `sha256:${hash.digest('hex')}`,
      sizeBytes,
      diffId: `sha256:${archiveHash.digest('hex')}`,
    };
  } catch (error) {
    throw translated(error);
  } finally {
    for (const fd of open) close(fd);
  }
}

function* archiveOf(trees: Trees, maxMtimeSeconds: number, checkStop: () => void): Generator<Buffer> {
  const archive = new LayerArchive(maxMtimeSeconds);
  for (const change of changesBetween(trees, checkStop)) yield* archive.add(change);
  yield* archive.finish();
}

function* hashed(chunks: Iterable<Buffer>, update: (chunk: Buffer) => void): Generator<Buffer> {
  for (const chunk of chunks) {
    update(chunk);
    yield chunk;
  }
}

/** With no time and no name in it: the same archive gives the same bytes. */
function compressed(
  chunks: Iterable<Buffer>,
  compression: NewLayerCompression,
): Iterable<Buffer> | AsyncIterable<Buffer> {
  if (compression === 'none') return chunks;
  const encoder = compression === 'gzip' ? createGzip() : createZstdCompress();
  return Readable.from(chunks, { highWaterMark: 1 }).compose(encoder) as AsyncIterable<Buffer>;
}

function translated(error: unknown): LongshoreError {
  if (isErrno(error, 'ENOENT', 'ESTALE')) {
    return new LongshoreError('Aborted', 'snapshot has changed while it was compared', { cause: error });
  }
  return fromErrno('diff', error);
}
