import type { Descriptor, Digest } from '@longshore/oci';

/**
 * resolving (a name becomes a digest) → transferring (blobs) → unpacking (snapshots; while the last blobs come in) → recording → done.
 * Those that do not apply are left out.
 */
export type Phase = 'resolving' | 'transferring' | 'unpacking' | 'recording' | 'done';

/** `exists` and `done` are the ends of a transfer, `unpacked` of a layer that is unpacked too. */
export type BlobState = 'waiting' | 'transferring' | 'done' | 'exists' | 'unpacking' | 'unpacked';

export interface BlobProgress {
  digest: Digest;
  mediaType: string;
  /** The manifest or index that names it, where that is known. */
  parent: Digest | undefined;
  state: BlobState;
  offsetBytes: number;
  totalBytes: number;
}

/** One node of a fleet that takes an image. */
export interface NodeProgress {
  node: string;
  isDone: boolean;
  /** Undefined as long as all is well. */
  error: string | undefined;
  layers: { digest: string; state: string; offsetBytes: number; totalBytes: number }[];
}

/** A transfer as it is now: a picture of its own, which later ones do not change. */
export interface Progress {
  phase: Phase;
  /** Of the image; for several at once, of the one at hand. */
  name: string;
  target: Digest | undefined;
  /** In the order in which they became known. */
  blobs: BlobProgress[];
  /** Of all blobs; what was there already counts as done. */
  doneBytes: number;
  totalBytes: number;
  /** Over the last few seconds. */
  bytesPerSecond: number;
  /** Milliseconds until the bytes are there if it goes on so; undefined when nobody can tell. */
  remainingMs: number | undefined;
  /** Of a fleet's pull. */
  nodes: NodeProgress[];
}

/** Called with each phase, and at most five times a second between; never after the transfer's promise is settled. */
export type OnProgress = (progress: Progress) => void;

type Known = Pick<Descriptor, 'digest' | 'mediaType' | 'size'>;

const EVERY_MS = 200;
/** Long enough for a rate that does not jump, short enough to tell the present. */
const RATE_WINDOW_MS = 4_000;

/** Gathers what happens and tells the listener now and then. */
export class ProgressTracker implements Disposable {
  readonly #onProgress: OnProgress | undefined;
  readonly #blobs = new Map<Digest, BlobProgress>();
  /** How many bytes had moved by when, for the rate. */
  readonly #moved = [{ atMs: performance.now(), bytes: 0 }];
  #phase: Phase = 'resolving';
  #name: string;
  #target: Digest | undefined;
  #nodes: NodeProgress[] = [];
  #movedBytes = 0;
  #toldAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, onProgress: OnProgress | undefined) {
    this.#name = name;
    this.#onProgress = onProgress;
  }

  phase(phase: Phase, name = this.#name): void {
    if (phase === this.#phase && name === this.#name) return;
    this.#phase = phase;
    this.#name = name;
    this.#tell();
  }

  /** What the name stands for, which is known when the transfer of blobs begins. */
  resolved(digest: Digest): void {
    this.#target = digest;
    this.phase('transferring');
  }

  /** The same, said at the end. */
  recording(digest: Digest | undefined): void {
    this.#target = digest ?? this.#target;
    this.phase('recording');
  }

  blob({ digest, mediaType, size }: Known, state: BlobState, offsetBytes: number, parent?: Digest): void {
    const before = this.#blobs.get(digest);
    const isMoving = state === 'transferring' || state === 'done';
    const movedBytes = isMoving && before ? Math.max(0, offsetBytes - before.offsetBytes) : 0;
    // One that waits for another's transfer has nothing of its own.
    const shownBytes = state === 'waiting' ? 0 : offsetBytes;
    this.#blobs.set(digest, {
      digest,
      mediaType,
      parent: parent ?? before?.parent,
      state,
      offsetBytes: shownBytes,
      totalBytes: size,
    });
    if (movedBytes > 0) this.#count(movedBytes);
    this.#changed();
  }

  /** A layer's own bytes are there by then. */
  layer(descriptor: Known, state: 'unpacking' | 'unpacked'): void {
    this.blob(descriptor, state, descriptor.size);
  }

  nodes(nodes: NodeProgress[]): void {
    this.#nodes = nodes;
    this.#changed();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #count(bytes: number): void {
    const now = performance.now();
    this.#movedBytes += bytes;
    const last = this.#moved.at(-1)!;
    if (this.#moved.length > 1 && now - last.atMs < EVERY_MS) last.bytes = this.#movedBytes;
    else this.#moved.push({ atMs: now, bytes: this.#movedBytes });
    while (this.#moved.length > 2 && now - this.#moved[1]!.atMs > RATE_WINDOW_MS) this.#moved.shift();
  }

  #changed(): void {
    if (!this.#onProgress || this.#timer) return;
    const leftMs = this.#toldAtMs + EVERY_MS - performance.now();
    if (leftMs <= 0) this.#tell();
    else this.#timer = setTimeout(() => this.#tell(), leftMs).unref();
  }

  #tell(): void {
    this[Symbol.dispose]();
    this.#toldAtMs = performance.now();
    this.#onProgress?.(this.#picture());
  }

  #picture(): Progress {
    const blobs = [...this.#blobs.values()];
    const doneBytes = blobs.reduce((sum, { offsetBytes }) => sum + offsetBytes, 0);
    const totalBytes = blobs.reduce((sum, blob) => sum + blob.totalBytes, 0);
    const bytesPerSecond = this.#rate();
    return {
      phase: this.#phase,
      name: this.#name,
      target: this.#target,
      blobs,
      doneBytes,
      totalBytes,
      bytesPerSecond,
      remainingMs: bytesPerSecond > 0 ? ((totalBytes - doneBytes) / bytesPerSecond) * 1000 : undefined,
      nodes: this.#nodes,
    };
  }

  #rate(): number {
    const { atMs, bytes } = this.#moved[0]!;
    return ((this.#movedBytes - bytes) / Math.max(EVERY_MS, performance.now() - atMs)) * 1000;
  }
}
