import { unavailable, unimplemented } from '@longshore/errors';
import type { Mount } from '@longshore/linux';
import { MediaType } from '@longshore/oci';
import { makeMountPoint, removeMountPoint } from '../mount-points.ts';
import { Turns } from '../worker/turns.ts';
import type { ComparedLayer, NewLayerCompression } from './compare-job.ts';
import { planCompare } from './compare-plan.ts';
import { CompareThread } from './compare-thread.ts';

export type { ComparedLayer } from './compare-job.ts';

export interface LayerComparerOptions {
  /** Where mount points are made; a directory of root's alone. */
  tempDirectory: string;
  /** Comparisons at the same time; others wait their turn. */
  maxThreads?: number;
  /** Heap of each thread, in MiB. */
  maxHeapMb?: number;
}

export interface CompareRequest {
  /** What was there before; none for nothing. */
  lower: readonly Mount[];
  upper: readonly Mount[];
  /** Of the layer to be made; empty for the usual one. */
  mediaType: string;
  /** What later times of modification become, in seconds since the epoch; undefined for none. */
  sourceDateEpochSeconds?: number | undefined;
  signal: AbortSignal;
}

/** A layer while it is made: its bytes, to be read once; then what they are. */
export interface LayerInTheMaking {
  chunks: AsyncIterable<Buffer>;
  /** Settles once all was made. */
  layer: Promise<ComparedLayer>;
}

const DEFAULT_MEDIA_TYPE = MediaType.OciLayerGzip;
const COMPRESSIONS: ReadonlyMap<string, NewLayerCompression> = new Map([
  [MediaType.OciLayer, 'none'],
  [MediaType.OciLayerGzip, 'gzip'],
  [MediaType.OciLayerZstd, 'zstd'],
]);

const DEFAULT_MAX_THREADS = 2;
/** A directory of a million names, or as many files with several names, with room to spare. */
const DEFAULT_MAX_HEAP_MB = 512;

/**
 * Makes layers of what one tree has over another, in threads of their own. The upper one may be a running container's:
 * nothing outside of the two is read, whatever is put in place of what. Source: containerd plugins/diff/walking.
 */
export class LayerComparer {
  private readonly options: Required<LayerComparerOptions>;
  private readonly turns: Turns;
  private readonly closing = new AbortController();
  private readonly running = new Set<Promise<unknown>>();

  constructor(options: LayerComparerOptions) {
    this.options = { maxThreads: DEFAULT_MAX_THREADS, maxHeapMb: DEFAULT_MAX_HEAP_MB, ...options };
    this.turns = new Turns(this.options.maxThreads);
  }

  /**
   * Has `store` read the layer. Unimplemented for a media type that none can be made of, Aborted where a file
   * changes while it is read; the signal's reason once it aborts. Nothing stays mounted. Safe to repeat.
   */
  async compare<T>(
    request: CompareRequest,
    store: (making: LayerInTheMaking, mediaType: string) => Promise<T>,
  ): Promise<T> {
    const mediaType = request.mediaType || DEFAULT_MEDIA_TYPE;
    const compression = COMPRESSIONS.get(mediaType);
    if (!compression) throw unimplemented(`unsupported diff media type: ${mediaType}`);
    const signal = AbortSignal.any([request.signal, this.closing.signal]);
    await this.turns.next(signal);
    const made = this.make(request, compression, signal, (making) => store(making, mediaType));
    this.running.add(made);
    try {
      return await made;
    } finally {
      this.running.delete(made);
      this.turns.done();
    }
  }

  /** Gives up what runs and refuses what waits. */
  async close(): Promise<void> {
    this.closing.abort(unavailable('diff threads are closed'));
    await Promise.allSettled(this.running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async make<T>(
    { lower, upper, sourceDateEpochSeconds = Infinity }: CompareRequest,
    compression: NewLayerCompression,
    signal: AbortSignal,
    store: (making: LayerInTheMaking) => Promise<T>,
  ): Promise<T> {
    const { tempDirectory, maxHeapMb } = this.options;
    await using undo = new AsyncDisposableStack();
    const mountPoint = async () =>
      undo.adopt(await makeMountPoint(tempDirectory), (path) => removeMountPoint(path));
    const mountPoints = { lower: await mountPoint(), upper: await mountPoint() };
    signal.throwIfAborted();
    const plan = planCompare(lower, upper);
    const job = { plan, compression, maxMtimeSeconds: sourceDateEpochSeconds, mountPoints };
    const thread = undo.use(new CompareThread(job, maxHeapMb));
    const abort = () => thread.abort(signal.reason);
    signal.addEventListener('abort', abort);
    undo.defer(() => signal.removeEventListener('abort', abort));
    return await store(thread);
  }
}
