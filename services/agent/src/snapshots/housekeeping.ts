import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { RecordCopy } from '../records/record-copy.ts';
import type { CatalogueClient } from './catalogue-call.ts';
import type { Snapshotter } from './snapshotter.ts';
import { reapTombstones, type WaitingLayer } from './tombstone-reaper.ts';
import { type Gauge, UnknownLayers } from './unknown-layers.ts';
import type { UnsettledLayers } from './unsettled-layers.ts';

/** When the catalogue is asked what is to be deleted; in milliseconds. */
export interface Pauses {
  /** After word of a removal: others may follow it. */
  soonMs: number;
  /** While something is left to do: how long a removed layer may stay on disk after its last user has gone. */
  againMs: number;
  /** Otherwise, give or take a quarter: many nodes ask one catalogue. */
  restMs: number;
}

const PAUSES: Pauses = { soonMs: 1_000, againMs: 5_000, restMs: 60_000 };

export interface HousekeepingOptions {
  catalogue: CatalogueClient;
  /** Tells of removals, by this node and by others. */
  records: Pick<RecordCopy, 'onChange'>;
  nodeId: string;
  snapshotters: readonly Snapshotter[];
  unsettled: UnsettledLayers;
  quarantined: Gauge;
  log: Logger;
  pauses?: Pauses;
}

/** Keeps the disk in step with the catalogue, from {@link start} until {@link close}. */
export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #stopping = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();
  /** Emptied as they are dealt with. */
  readonly #unknown: UnknownLayers[];
  #round: Promise<void> | undefined;
  #loop: Promise<void> = Promise.resolve();
  /** The problem that was logged last: one that lasts is told of once. */
  #problem = '';
  #isDone = false;
  #waiting: readonly WaitingLayer[] = [];
  /** Aborted by word of a removal. */
  #word = new AbortController();

  private constructor(options: HousekeepingOptions, unknown: UnknownLayers[]) {
    this.#options = options;
    this.#unknown = unknown;
  }

  /** Call it before the first snapshot is made. */
  static async start(options: HousekeepingOptions): Promise<Housekeeping> {
    const unknown = await Promise.all(
      options.snapshotters.map((snapshotter) => UnknownLayers.lookAt(snapshotter)),
    );
    const housekeeping = new Housekeeping(options, unknown);
    const ignore = options.records.onChange(({ kind, deleted }) => {
      if (kind === 'snapshot' && deleted) housekeeping.#word.abort();
    });
    housekeeping.#stopping.signal.addEventListener('abort', ignore);
    housekeeping.#loop = housekeeping.#runUntilClosed();
    return housekeeping;
  }

  /** Removed layers that the last round has left on disk. */
  get waiting(): readonly WaitingLayer[] {
    return this.#waiting;
  }

  /** Does everything that is to do now; never throws. A round that is under way is not joined: another one follows. */
  async run(): Promise<void> {
    await this.#round;
    this.#round ??= this.#runOnce().finally(() => {
      this.#round = undefined;
    });
    await this.#round;
  }

  /** Does not wait for the deletion of large layers, which goes on after the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#stopped.resolve();
    await this.#loop;
  }

  async #runUntilClosed(): Promise<void> {
    this.#purgeLeftovers();
    while (!this.#stopping.signal.aborted) {
      this.#word = new AbortController();
      await Promise.race([this.run(), this.#stopped.promise]);
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    const { soonMs, againMs, restMs } = this.#options.pauses ?? PAUSES;
    const { signal } = this.#stopping;
    const wait = (ms: number, signal: AbortSignal) =>
      sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
    const pauseMs = this.#isDone ? restMs * (0.75 + Math.random() / 2) : againMs;
    await wait(pauseMs, AbortSignal.any([signal, this.#word.signal]));
    if (this.#word.signal.aborted) await wait(soonMs, signal);
  }

  async #runOnce(): Promise<void> {
    const { catalogue, nodeId, unsettled, log } = this.#options;
    this.#isDone = false;
    try {
      this.#waiting = await reapTombstones(this.#options);
      for (const unknown of [...this.#unknown]) {
        if ((await unknown.quarantine(this.#options)) > 0) continue;
        this.#unknown.splice(this.#unknown.indexOf(unknown), 1);
      }
      await unsettled.settle(catalogue, nodeId);
      this.#isDone = this.#waiting.length === 0;
      this.#problem = '';
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== this.#problem)
        log.warn({ error: problem }, 'snapshot directories cannot be looked after');
      this.#problem = problem;
    }
  }

  /** What a killed process had discarded is needed by nobody, whatever the catalogue says. */
  #purgeLeftovers(): void {
    for (const { directories } of this.#options.snapshotters) {
      void directories.purgeAll().catch((error) => {
        this.#options.log.warn({ error: messageOf(error) }, 'discarded layers cannot be deleted');
      });
    }
  }
}
