import { createHash } from 'node:crypto';
import { LongshoreError } from '@longshore/errors';
import { mountAll, syncFileSystem, unmountRecursive } from '@longshore/linux';
import type { Digest, LayerCompression } from '@longshore/oci';
import type { Archive } from './archive.ts';
import { type ExtractionTarget, LayerExtractor } from './extract/layer-extractor.ts';
import type { LayerLimits } from './layer-limits.ts';
import type { ApplyTarget } from './mount-plan.ts';
import type { ByteString } from './tar/byte-string.ts';
import { TarReader } from './tar/tar-reader.ts';

export interface ApplyJob {
  target: ApplyTarget;
  compression: LayerCompression;
  limits: LayerLimits;
  /** Program that decompresses gzip files; what else there is, and all without it, the thread does by itself. */
  gunzip: string | undefined;
  /** An empty directory, used when the target has to be mounted; to be removed by the caller. */
  mountPoint: string | undefined;
  /** Whether to wait until the layer is on disk. */
  syncFs: boolean;
}

/** The uncompressed archive, whole: with what follows its end. */
export interface AppliedLayer {
  digest: Digest;
  sizeBytes: number;
  /** Directories that neither the layer nor what lies below it has: see `dress-parents.ts`. */
  bareParents: readonly ByteString[];
}

/** Applies one layer. Keeps its thread busy with system calls while data comes in: not for an event loop that serves. */
export async function runApplyJob(
  job: ApplyJob,
  archive: Archive,
  signal: AbortSignal,
): Promise<AppliedLayer> {
  const { target, mountPoint } = job;
  if (target.kind !== 'mounts') return extract(job, target, archive, signal);
  if (mountPoint === undefined) throw new TypeError('mounts need a mount point');
  await mountAll(target.mounts, mountPoint);
  try {
    return await extract(job, { kind: 'directory', path: mountPoint }, archive, signal);
  } finally {
    await unmountRecursive(mountPoint);
  }
}

async function extract(
  { limits, syncFs }: ApplyJob,
  target: ExtractionTarget,
  archive: Archive,
  signal: AbortSignal,
): Promise<AppliedLayer> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const extractor = new LayerExtractor(target, limits);
  try {
    const reader = new TarReader(extractor);
    for await (const chunk of archive) {
      signal.throwIfAborted();
      sizeBytes += chunk.length;
      checkSize(sizeBytes, archive.compressedBytes, limits);
      hash.update(chunk);
      reader.push(chunk);
    }
    signal.throwIfAborted();
    reader.finish();
    extractor.finish();
  } finally {
    extractor.close();
  }
  if (syncFs) await syncFileSystem(target.kind === 'overlay' ? target.upper : target.path);
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes, bareParents: extractor.bareParents };
}

function checkSize(sizeBytes: number, compressedBytes: number, limits: LayerLimits): void {
  if (sizeBytes > limits.maxBytes) {
    throw new LongshoreError('ResourceExhausted', `layer has more than ${limits.maxBytes} bytes`);
  }
  if (sizeBytes > limits.ratioFreeBytes && sizeBytes > compressedBytes * limits.maxRatio) {
    throw new LongshoreError('ResourceExhausted', `layer expands more than ${limits.maxRatio} times`);
  }
}
