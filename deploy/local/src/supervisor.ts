import { setTimeout as sleep } from 'node:timers/promises';
import { isKind, isRetryable, LongshoreError, messageOf, notFound } from '@longshore/errors';
import { BackOff } from './back-off.ts';
import { describeExit, type ManagedProcess } from './managed-process.ts';

const FIRST_READY_TIMEOUT_MS = 60_000;

/** What a unit's process offers once it is ready. */
export interface RunningUnit {
  readonly process: ManagedProcess;
  close(): Promise<void>;
}

/** Something to keep running. */
export interface Unit {
  readonly name: string;
  /**
   * Resolves once it is ready. Rejects, and then has left nothing running, with Unavailable when it ended before that,
   * took too long, or `stop` aborted; with another kind of error when trying again is of no use.
   */
  start(stop: AbortSignal): Promise<RunningUnit>;
}

type State =
  /** Being started, or waiting to be. */
  | { kind: 'starting' }
  | { kind: 'running'; unit: RunningUnit }
  /** Stopped on purpose, or not to be started at all. */
  | { kind: 'stopped' };

/** Keeps one unit running: starts it again, ever more slowly, when it ends by itself. */
class Keeper {
  readonly unit: Unit;
  readonly #report: (line: string) => void;
  readonly #backOff = new BackOff();
  #stop = new AbortController();
  #state: State = { kind: 'stopped' };
  #work: Promise<void> = Promise.resolve();
  #ready = Promise.withResolvers<RunningUnit>();
  #lastEnding = '';

  constructor(unit: Unit, report: (line: string) => void) {
    this.unit = unit;
    this.#report = report;
  }

  get running(): RunningUnit | undefined {
    return this.#state.kind === 'running' ? this.#state.unit : undefined;
  }

  /** How it ended last, or that it has not. */
  get lastEnding(): string {
    return this.#lastEnding || `${this.unit.name} is not ready`;
  }

  /** Resolves at its (next) readiness; rejects when it is stopped before. */
  whenReady(): Promise<RunningUnit> {
    return this.#ready.promise;
  }

  start(): Promise<RunningUnit> {
    if (this.#state.kind !== 'stopped') return this.whenReady();
    this.#stop = new AbortController();
    this.#expectReady();
    this.#state = { kind: 'starting' };
    this.#work = this.#keep(this.#stop.signal);
    return this.whenReady();
  }

  async stop(): Promise<void> {
    const { running } = this;
    this.#state = { kind: 'stopped' };
    this.#stop.abort();
    this.#ready.reject(notFound(`${this.unit.name}, stopped`));
    await running?.close();
    await this.#work;
  }

  async #keep(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const startMs = performance.now();
      this.#lastEnding = await this.#runOnce(stop);
      if (stop.aborted) return;
      this.#state = { kind: 'starting' };
      const delayMs = this.#backOff.next(performance.now() - startMs);
      this.#report(`${this.#lastEnding}; restarting in ${delayMs / 1000} s`);
      await sleep(delayMs, undefined, { signal: stop }).catch(ignoreAbort);
    }
  }

  /** Runs it until it ends; says how it did. */
  async #runOnce(stop: AbortSignal): Promise<string> {
    try {
      const unit = await this.unit.start(stop);
      if (stop.aborted) {
        await unit.close();
        return '';
      }
      this.#state = { kind: 'running', unit };
      this.#ready.resolve(unit);
      const exit = await unit.process.exited;
      if (!stop.aborted) this.#expectReady();
      return `${this.unit.name} ${describeExit(exit)}`;
    } catch (error) {
      if (!isRetryable(error)) this.#giveUp(error);
      return messageOf(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#state = { kind: 'stopped' };
    this.#stop.abort();
    this.#ready.reject(error);
  }

  #expectReady(): void {
    this.#ready = Promise.withResolvers();
    // Nobody need be waiting when it is rejected; who does gets it all the same.
    this.#ready.promise.catch(() => {});
  }
}

/** Starts units in waves, each of which may need the ones before it, keeps them running, and stops them in reverse. */
export class Supervisor implements AsyncDisposable {
  readonly #report: (line: string) => void;
  readonly #waves: Keeper[][] = [];

  /** `report` is told, in a line, of each unit that ended by itself. */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /**
   * Resolves when all of them are ready; those that fail are tried again until then. Throws Unavailable, saying of
   * each why, when some are not within `timeoutMs`, and at once what a unit said that it is of no use to try again.
   */
  async startWave(units: readonly Unit[], timeoutMs = FIRST_READY_TIMEOUT_MS): Promise<void> {
    const wave = units.map((unit) => new Keeper(unit, this.#report));
    this.#waves.push(wave);
    const allReady = Promise.all(wave.map((keeper) => keeper.start()));
    const timeout = new AbortController();
    const late = sleep(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
      const reasons = wave.filter(({ running }) => running === undefined).map(({ lastEnding }) => lastEnding);
      throw new LongshoreError(
        'Unavailable',
        `not ready within ${timeoutMs / 1000} s: ${reasons.join('; ')}`,
      );
    });
    try {
      await Promise.race([allReady, late]);
    } finally {
      timeout.abort();
    }
  }

  /** The current process; undefined while there is none. */
  process(name: string): ManagedProcess | undefined {
    return this.#keeper(name).running?.process;
  }

  /** Resolves when the unit is ready, now or after its next start. */
  async whenReady(name: string): Promise<void> {
    await this.#keeper(name).whenReady();
  }

  /** Stops one unit until `start`. */
  async stop(name: string): Promise<void> {
    await this.#keeper(name).stop();
  }

  async start(name: string): Promise<void> {
    await this.#keeper(name).start();
  }

  async close(): Promise<void> {
    for (const wave of this.#waves.toReversed()) await Promise.all(wave.map((keeper) => keeper.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #keeper(name: string): Keeper {
    const keeper = this.#waves.flat().find(({ unit }) => unit.name === name);
    if (keeper === undefined) throw notFound(`unit "${name}"`);
    return keeper;
  }
}

function ignoreAbort(error: unknown): void {
  if (!isKind(error, 'Canceled')) throw error;
}
