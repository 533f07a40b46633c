import { unavailable } from '@longshore/errors';
import type { AppliedLayer, ApplyJob } from '../apply-job.ts';
import { ApplyWorkerHandle, type LayerSource } from './apply-worker-handle.ts';
import { Turns } from './turns.ts';

export interface ApplyWorkerPoolOptions {
  /** Layers that are applied at the same time; others wait their turn. */
  maxWorkers: number;
  /** A worker that had nothing to do for so long ends, and its memory (some 20 MB) with it. */
  idleMs: number;
  /** Heap of each worker, in MiB; a layer that needs more is refused. */
  maxHeapMb: number;
}

/** Worker threads that are started when there is work, and end when there has been none for a while. */
export class ApplyWorkerPool {
  private readonly options: ApplyWorkerPoolOptions;
  private readonly turns: Turns;
  private readonly workers = new Set<ApplyWorkerHandle>();
  private readonly idle = new Map<ApplyWorkerHandle, NodeJS.Timeout>();
  private readonly running = new Set<Promise<unknown>>();
  private readonly closing = new AbortController();

  constructor(options: ApplyWorkerPoolOptions) {
    this.options = options;
    this.turns = new Turns(options.maxWorkers);
  }

  /** Runs a job when its turn comes. Rejects with the signal's reason once the job has stopped. */
  async run(job: ApplyJob, source: LayerSource, signal: AbortSignal): Promise<AppliedLayer> {
    const either = AbortSignal.any([signal, this.closing.signal]);
    await this.turns.next(either);
    try {
      either.throwIfAborted();
      return await this.runOn(this.takeWorker(), job, source, either);
    } finally {
      this.turns.done();
    }
  }

  /** Aborts what runs, refuses what waits, and ends all workers. */
  async close(): Promise<void> {
    this.closing.abort(unavailable('layer workers are closed'));
    await Promise.allSettled(this.running);
    await Promise.all([...this.workers].map((worker) => this.end(worker)));
  }

  private async runOn(
    worker: ApplyWorkerHandle,
    job: ApplyJob,
    source: LayerSource,
    signal: AbortSignal,
  ): Promise<AppliedLayer> {
    const applied = worker.run(job, source, signal);
    this.running.add(applied);
    try {
      return await applied;
    } finally {
      this.running.delete(applied);
      this.putBack(worker);
    }
  }

  private takeWorker(): ApplyWorkerHandle {
    // The one used last, so that the others may come of age.
    for (const worker of [...this.idle.keys()].reverse()) {
      clearTimeout(this.idle.get(worker));
      this.idle.delete(worker);
      if (!worker.dead) return worker;
      this.workers.delete(worker);
    }
    const worker = new ApplyWorkerHandle(this.options.maxHeapMb);
    this.workers.add(worker);
    return worker;
  }

  private putBack(worker: ApplyWorkerHandle): void {
    if (worker.dead) {
      this.workers.delete(worker);
      return;
    }
    const timer = setTimeout(() => void this.end(worker), this.options.idleMs);
    timer.unref();
    this.idle.set(worker, timer);
  }

  private async end(worker: ApplyWorkerHandle): Promise<void> {
    clearTimeout(this.idle.get(worker));
    this.idle.delete(worker);
    this.workers.delete(worker);
    await worker.terminate();
  }
}
