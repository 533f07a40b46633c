import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import type { Mount } from '@longshore/linux';
import type { AppliedLayer } from './apply-job.ts';
import { dressParents } from './extract/dress-parents.ts';
import { DEFAULT_LAYER_LIMITS, type LayerLimits } from './layer-limits.ts';
import { planApply } from './mount-plan.ts';
import { makeMountPoint, removeMountPoint } from './mount-points.ts';
import { ProcessedLayer } from './processors/processed-layer.ts';
import { routeOf, type StreamProcessor } from './processors/stream-processor.ts';
import type { ByteString } from './tar/byte-string.ts';
import type { LayerSource } from './worker/apply-worker-handle.ts';
import { ApplyWorkerPool } from './worker/apply-worker-pool.ts';

export type { AppliedLayer } from './apply-job.ts';
export type { StreamProcessor } from './processors/stream-processor.ts';
export type { LayerSource } from './worker/apply-worker-handle.ts';

/** Errors of a layer that can come from bytes that are not those of its digest. */
export const SUSPECT_KINDS = ['DataLoss', 'InvalidArgument'] as const;

export interface LayerApplierOptions {
  /** Where mount points are made for mounts that cannot be written directly; a directory of root's alone. */
  tempDirectory?: string;
  limits?: Partial<LayerLimits>;
  /** A program to decompress gzip files with, as `findGunzip` finds it. */
  gunzip?: string | undefined;
  /** Layers applied at the same time; each has a thread of some 20 MB. */
  maxWorkers?: number;
  /** How long a thread without work is kept, in milliseconds. */
  idleMs?: number;
  /** Heap of each thread, in MiB. */
  maxHeapMb?: number;
  /** Programs for media types of their own. */
  processors?: readonly StreamProcessor[];
  /** What they find in their environment. */
  env?: NodeJS.ProcessEnv;
}

export interface ApplyLayerRequest {
  /** The layer as it is stored. A stream is read to its end, or destroyed. */
  source: LayerSource;
  mediaType: string;
  /** Those of the snapshot, as its snapshotter gives them. */
  mounts: readonly Mount[];
  /** What stream processors get as parameters, by their ids. */
  payloads?: Readonly<Record<string, Uint8Array>>;
  /** Whether to wait until the layer is on disk. */
  syncFs?: boolean;
  /** Once it aborts, the layer is given up; the call rejects with its reason when nothing is written any more. */
  signal?: AbortSignal;
}

/** Two, since one thread writes while another waits for the disk; decompression has threads of its own. */
const DEFAULT_MAX_WORKERS = 2;
/** Longer than the pauses between the layers of one pull. */
const DEFAULT_IDLE_MS = 10_000;
/** What the limits on entries come to, with room to spare; a usual layer needs less than 20. */
const DEFAULT_MAX_HEAP_MB = 256;

/**
 * Applies image layers onto snapshots, in threads of their own. Layers are hostile: whatever they hold, nothing outside
 * of the snapshot is touched. After an error the snapshot holds part of the layer and is to be removed.
 */
export class LayerApplier {
  private readonly pool: ApplyWorkerPool;
  private readonly tempDirectory: string;
  private readonly limits: LayerLimits;
  private readonly processors: readonly StreamProcessor[];
  private readonly env: NodeJS.ProcessEnv;
  private readonly gunzip: string | undefined;

  constructor(options: LayerApplierOptions = {}) {
    this.tempDirectory = options.tempDirectory ?? tmpdir();
    this.limits = { ...DEFAULT_LAYER_LIMITS, ...options.limits };
    this.processors = options.processors ?? [];
    this.env = options.env ?? {};
    this.gunzip = options.gunzip;
    this.pool = new ApplyWorkerPool({
      maxWorkers: options.maxWorkers ?? DEFAULT_MAX_WORKERS,
      idleMs: options.idleMs ?? DEFAULT_IDLE_MS,
      maxHeapMb: options.maxHeapMb ?? DEFAULT_MAX_HEAP_MB,
    });
  }

  /**
   * Applies one layer; gives the digest and size of its uncompressed archive, trailing bytes included.
   * Unimplemented for a media type that is none of a layer, InvalidArgument for a damaged or malicious one,
   * ResourceExhausted beyond the limits or with the disk full, FailedPrecondition where a stream processor fails. Safe
   * to repeat on a fresh snapshot.
   */
  async applyLayer(request: ApplyLayerRequest): Promise<AppliedLayer> {
    try {
      return await this.apply(request);
    } finally {
      if (request.source instanceof Readable) request.source.destroy();
    }
  }

  /**
   * Finishes a layer that was applied before its parent was known, once `mounts` have it below: directories that were
   * made for what is in them, and the root, become what they are there. Safe to repeat.
   */
  async dressParents(mounts: readonly Mount[], bareParents: readonly ByteString[]): Promise<void> {
    const target = planApply(mounts);
    if (target.kind === 'overlay') await dressParents(target, bareParents);
  }

  /** Gives up the layers at hand and ends the threads. */
  async close(): Promise<void> {
    await this.pool.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async apply(request: ApplyLayerRequest): Promise<AppliedLayer> {
    const { source, mediaType, mounts, payloads = {}, syncFs = false } = request;
    const { signal = new AbortController().signal } = request;
    const { steps, compression } = routeOf(mediaType, this.processors);
    const target = planApply(mounts);
    await using undo = new AsyncDisposableStack();
    let input = source;
    if (steps.length > 0) {
      input = undo.use(new ProcessedLayer({ source, steps, payloads, env: this.env, signal })).output;
    }
    const mountPoint = target.kind === 'mounts' ? await makeMountPoint(this.tempDirectory) : undefined;
    try {
      const { limits, gunzip } = this;
      const job = { target, compression, limits, gunzip, mountPoint, syncFs };
      return await this.pool.run(job, input, signal);
    } finally {
      // The thread unmounts by itself, unless it died.
      if (mountPoint !== undefined) await removeMountPoint(mountPoint);
    }
  }
}
