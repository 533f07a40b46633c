import { randomUUID } from 'node:crypto';
import { kindOf, messageOf, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { AuditRecordRow, AuditRepository, AuditRow } from '../storage/postgres/audit-repository.ts';
import {
  AuditEvent,
  type BegunCall,
  callPayload,
  callRecord,
  recordOfCall,
  refusalRecord,
} from './audit-events.ts';
import type { AuditEntry, AuditLog, AuditRefusal, AuditResult, OpenRecord } from './audit-log.ts';
import { Batches } from './batches.ts';
import type { AuditMetrics } from './metrics.ts';
import { RefusalTally } from './refusal-tally.ts';
import { UntilWritten } from './until-written.ts';

/** Of some 500 bytes each. */
const MAX_ITEMS = 500;
/** Outcomes that wait for Postgres; with more, nothing new is begun. */
const MAX_WAITING = 20_000;
const BEAT_MS = 5_000;
/** A gateway that was silent for as long is dead to the others. */
export const DEAD_AFTER_MS = 30_000;

export interface StoredAuditLogOptions {
  repository: AuditRepository;
  metrics: AuditMetrics;
  log: Logger;
  /** Default: DEAD_AFTER_MS. The same for all gateways. */
  deadAfterMs?: number;
  /** For how long what was told can be looked up. */
  retentionMs: number;
}

/** Keeps intents and outcomes in Postgres, and completes what gateways left that have died. States: open → closed. */
export class StoredAuditLog implements AuditLog {
  readonly #repository: AuditRepository;
  readonly #metrics: AuditMetrics;
  readonly #log: Logger;
  readonly #deadAfterMs: number;
  readonly #retentionMs: number;
  /** Names this process. */
  readonly #gateway = randomUUID();
  readonly #intents: Batches<AuditRow>;
  readonly #outcomes: UntilWritten<AuditRecordRow>;
  readonly #refusals: UntilWritten<AuditRecordRow>;
  readonly #tally: RefusalTally;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;

  private constructor(options: StoredAuditLogOptions) {
    const { repository, metrics, log, deadAfterMs = DEAD_AFTER_MS, retentionMs } = options;
    this.#repository = repository;
    this.#metrics = metrics;
    this.#log = log;
    this.#deadAfterMs = deadAfterMs;
    this.#retentionMs = retentionMs;
    this.#intents = new Batches((rows) => this.#begin(rows), MAX_ITEMS);
    const { call, refusal } = AuditEvent;
    this.#outcomes = this.#untilWritten((rows) => repository.end(call.topic, call.typeUrl, rows));
    this.#refusals = this.#untilWritten((rows) => repository.tell(refusal.topic, refusal.typeUrl, rows));
    this.#tally = new RefusalTally((counted) => {
      if (this.#refusals.size >= MAX_WAITING) metrics.lostRefusals.inc(counted.count);
      else this.#refusals.add(refusalRecord(counted));
    });
    this.#timer = setInterval(() => {
      this.#round ??= this.#beat().finally(() => {
        this.#round = undefined;
      });
    }, BEAT_MS).unref();
  }

  static async open(options: StoredAuditLogOptions): Promise<StoredAuditLog> {
    const opened = new StoredAuditLog(options);
    await options.repository.beat(opened.#gateway);
    return opened;
  }

  async begin(entry: AuditEntry): Promise<OpenRecord> {
    if (this.#outcomes.size >= MAX_WAITING) throw unavailable('audit log: too much waits to be kept');
    const call: BegunCall = { id: randomUUID(), entry, beganAt: Date.now() };
    try {
      await this.#intents.add({ id: call.id, payload: callPayload(call, 'unknown') });
    } catch (error) {
      // It may be there all the same, when only the answer was lost.
      this.#end(call, { error: 'Unavailable' });
      throw unavailable(`audit log: ${messageOf(error)}`, { cause: error });
    }
    let isOpen = true;
    return {
      end: (result) => {
        if (isOpen) this.#end(call, result);
        isOpen = false;
      },
    };
  }

  refused(refusal: AuditRefusal): void {
    this.#metrics.refusals.inc({ error: kindOf(refusal.error) });
    this.#tally.add(refusal);
  }

  /** How many outcomes and refusals are not kept yet. */
  get waiting(): number {
    return this.#outcomes.size + this.#refusals.size;
  }

  /** Completes what dead gateways have left. Rejects when Postgres does not answer. */
  async completeDead(): Promise<void> {
    const { topic, typeUrl } = AuditEvent.call;
    const limits = { ttlMs: this.#deadAfterMs, limit: MAX_ITEMS, recordOf: recordOfCall };
    for (;;) {
      const told = await this.#repository.completeDead(topic, typeUrl, limits);
      if (told === undefined) return;
      if (told > 0) this.#log.warn({ calls: told }, 'calls of a gateway that died: their outcome is unknown');
      this.#metrics.records.inc({ outcome: 'unknown' }, told);
    }
  }

  /** Keeps what waits, once all calls have ended. What is open then is unknown to the others. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#tally.close();
    await Promise.all([this.#outcomes.close(), this.#refusals.close(), this.#round]);
    await this.#repository.leave(this.#gateway).catch((error) => this.#complain(error));
  }

  async #begin(rows: AuditRow[]): Promise<void> {
    if (await this.#repository.begin(this.#gateway, rows)) return;
    await this.#repository.beat(this.#gateway);
    if (await this.#repository.begin(this.#gateway, rows)) return;
    throw unavailable('this gateway is taken for dead');
  }

  #end(call: BegunCall, result: AuditResult): void {
    this.#metrics.records.inc({ outcome: typeof result === 'object' ? 'failed' : result });
    this.#outcomes.add(callRecord(call, result, Date.now()));
  }

  async #beat(): Promise<void> {
    try {
      await this.#repository.beat(this.#gateway);
      await this.completeDead();
      await this.#forgetOld();
    } catch (error) {
      this.#complain(error);
    }
  }

  async #forgetOld(): Promise<void> {
    while ((await this.#repository.forget(this.#retentionMs, MAX_ITEMS)) === MAX_ITEMS);
  }

  #untilWritten(write: (rows: readonly AuditRecordRow[]) => Promise<void>): UntilWritten<AuditRecordRow> {
    return new UntilWritten({ write, maxItems: MAX_ITEMS, onError: (error) => this.#complain(error) });
  }

  #complain(error: unknown): void {
    this.#log.warn({ error: messageOf(error) }, 'audit log is not kept up to date, trying again');
  }
}
