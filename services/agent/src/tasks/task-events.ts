import { toBinary } from '@bufbuild/protobuf';
import { type Timestamp, timestampNow } from '@bufbuild/protobuf/wkt';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type Envelope, EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { EventRecorder } from '../spool/node-events.ts';
import { contentEventId, taskEventId } from './event-id.ts';
import { RetryQueue } from './retry-queue.ts';
import { isStorageError } from './storage-error.ts';
import { createdEnvelope, deletedEnvelope, exitedEnvelope, startedEnvelope } from './task-envelopes.ts';
import type { ProcessRecord, TaskJournal } from './task-journal.ts';
import { type ProcessExit, readTaskReport, type TaskReport } from './task-report.ts';

/**
 * How long an exit waits for an event that belongs before it. Shims send in order, but what they have to send again
 * may come seconds later, or never.
 */
const HOLD_MS = 5_000;
/** For somebody to make room on a full disk. */
const RETRY_MS = 1_000;
/** Events that wait for that, most of some 500 bytes. Those of shims beyond it are refused, and sent again a few times. */
const MAX_UNRECORDED = 10_000;
const MAX_UNRECORDED_BYTES = 32 * 1024 * 1024;

export interface TaskEventsOptions {
  node: string;
  recorder: EventRecorder;
  journal: TaskJournal;
  log: Logger;
  holdMs?: number;
  retryMs?: number;
}

interface HeldExit {
  record: ProcessRecord;
  envelope: Envelope;
  exit: ProcessExit;
  timer: NodeJS.Timeout;
}

/**
 * The lifecycle events of this node's tasks. A shim's report, what a new agent finds, and what is assumed of a dead
 * shim are one event with one id: the first one counts. An exit is never recorded before its start, nor that of a
 * task before those of its execs; a delete never before the exit. What would come too late to be in order is dropped.
 * What a shim sends while the disk is full waits here, since a shim gives up after some fifteen seconds.
 */
export class TaskEvents {
  readonly #options: Required<TaskEventsOptions>;
  readonly #held = new Set<HeldExit>();
  readonly #awaitingDelete = new Map<string, () => void>();
  /** What shims sent. */
  readonly #taken: RetryQueue<Envelope>;

  constructor(options: TaskEventsOptions) {
    this.#options = { holdMs: HOLD_MS, retryMs: RETRY_MS, ...options };
    const { retryMs, log } = this.#options;
    this.#taken = new RetryQueue({
      write: (envelope) => this.#take(envelope),
      sizeBytes: ({ event }) => event?.value.length ?? 0,
      refused: ({ topic }, error) => log.error({ topic, error: messageOf(error) }, 'event of a shim dropped'),
      retryMs,
      maxItems: MAX_UNRECORDED,
      maxBytes: MAX_UNRECORDED_BYTES,
    });
  }

  /** Takes what a shim sent. An event of no task of ours is recorded as it is. Throws what the disk does when too much waits. */
  take(envelope: Envelope): void {
    this.#taken.put(envelope);
  }

  /**
   * A process is there, though its making may not have been reported. `bundle` is the task's directory. This and the
   * like throw what the disk does, and are safe to repeat.
   */
  foundCreated(record: ProcessRecord, pid: number, bundle: string): void {
    this.#taken.flush();
    this.#created(record, pid, createdEnvelope(record, pid, bundle));
  }

  foundStarted(record: ProcessRecord, pid: number): void {
    this.#taken.flush();
    this.#started(record, pid, startedEnvelope(record, pid));
  }

  foundExited(record: ProcessRecord, exit: ProcessExit): void {
    this.#taken.flush();
    this.#foundExited(record, exit);
  }

  /** The task is gone, and its processes with it: those that are not known to have exited did so now. */
  foundDeleted(record: ProcessRecord, exit: ProcessExit): void {
    this.#taken.flush();
    this.#letGoOf(record.incarnation);
    for (const process of this.#options.journal.ofTask(record.incarnation)) {
      if (process.execId && process.started) this.#foundExited(process, { ...exit, pid: 0 });
    }
    this.#deleted(record, exit, deletedEnvelope(record, exit));
  }

  /** The shim refused to start the process, so that its exit has nothing to wait for. */
  startRefused(record: ProcessRecord): void {
    this.#options.journal.update(record, { startRequested: false });
    this.#release(record.incarnation);
  }

  /** Resolves true once the delete event of a task is recorded, false when it is not after `timeoutMs`. */
  async deleteRecorded(incarnation: string, timeoutMs: number): Promise<boolean> {
    if (this.#current(incarnation)?.deleted) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#awaitingDelete.set(incarnation, () => resolve(true));
    const recorded = await promise;
    this.#awaitingDelete.delete(incarnation);
    clearTimeout(timer);
    return recorded;
  }

  /** Records what is held: shims were told that it is taken. What a full disk does not take, the next agent finds. */
  close(): void {
    try {
      this.#taken.flush();
      this.#letGoOf();
    } catch (error) {
      if (!isStorageError(error)) throw error;
    }
    for (const { timer } of this.#held) clearTimeout(timer);
    this.#held.clear();
    this.#taken.close();
  }

  #take(envelope: Envelope): void {
    const report = readTaskReport(envelope);
    const record = report && this.#find(envelope.namespace, report);
    if (record) this.#apply(record, report, envelope);
    else this.#recordAsIs(envelope);
  }

  #find(namespace: string, { containerId, execId, pid }: TaskReport): ProcessRecord | undefined {
    return this.#options.journal.find(namespace, containerId, execId, pid);
  }

  #recordAsIs(envelope: Envelope): void {
    const id = contentEventId(this.#options.node, toBinary(EnvelopeSchema, envelope));
    this.#options.recorder.record({ id, envelope });
  }

  #apply(record: ProcessRecord, report: TaskReport, envelope: Envelope): void {
    if (report.kind === 'created') this.#created(record, report.pid, envelope);
    if (report.kind === 'started') this.#started(record, report.pid, envelope);
    if (report.kind === 'exited' && this.#isEarly(record)) this.#hold(record, report.exit, envelope);
    else if (report.kind === 'exited') this.#exited(record, report.exit, envelope);
    if (report.kind === 'deleted') this.#deleted(record, report.exit, envelope);
    if (report.kind === 'recurring') this.#record(record, envelope, nanoseconds(envelope.timestamp));
  }

  #created(record: ProcessRecord, pid: number, envelope: Envelope): void {
    if (record.created || this.#isPast(record)) return;
    this.#record(record, envelope);
    this.#change(record, { created: true, ...(pid > 0 && { pid }) });
  }

  #started(record: ProcessRecord, pid: number, envelope: Envelope): void {
    if (record.started || record.exited || this.#isPast(record)) return;
    this.#record(record, envelope);
    this.#change(record, { started: true, startRequested: true, ...(pid > 0 && { pid }) });
    this.#release(record.incarnation);
  }

  #exited(record: ProcessRecord, exit: ProcessExit, envelope: Envelope): void {
    if (record.exited) return;
    if (record.execId && !record.created) this.#created(record, 0, createdEnvelope(record, 0, ''));
    if (record.startRequested && !record.started) {
      const pid = exit.pid || record.pid;
      this.#started(record, pid, startedEnvelope(record, pid));
    }
    this.#record(record, envelope);
    this.#change(record, { exited: true });
    this.#release(record.incarnation);
  }

  #foundExited(record: ProcessRecord, exit: ProcessExit): void {
    this.#exited(record, exit, exitedEnvelope(record, exit));
  }

  #deleted(record: ProcessRecord, exit: ProcessExit, envelope: Envelope): void {
    if (record.deleted) return;
    this.#letGoOf(record.incarnation);
    this.#foundExited(this.#options.journal.reread(record), exit);
    this.#record(record, envelope);
    this.#change(record, { deleted: true });
    if (!record.execId) this.#awaitingDelete.get(record.incarnation)?.();
  }

  /** An exec whose exit, or whose task's end, is recorded: what its shim sends again now belongs before that. */
  #isPast({ execId, exited, incarnation }: ProcessRecord): boolean {
    return execId !== '' && (exited || this.#current(incarnation)?.deleted === true);
  }

  /** True while an event that belongs before this exit may still come. */
  #isEarly(record: ProcessRecord): boolean {
    if (record.startRequested && !record.started) return true;
    if (record.execId) return false;
    const processes = this.#options.journal.ofTask(record.incarnation);
    return processes.some(({ execId, started, exited }) => execId && started && !exited);
  }

  #hold(record: ProcessRecord, exit: ProcessExit, envelope: Envelope): void {
    if (record.exited || [...this.#held].some((held) => isSame(held.record, record))) return;
    const timer = setTimeout(() => this.#letGoInTime(held), this.#options.holdMs);
    const held: HeldExit = { record, exit, envelope, timer };
    this.#held.add(held);
  }

  /** Never throws for the disk's sake: nobody would catch it. */
  #letGoInTime(held: HeldExit): void {
    try {
      this.#letGo(held);
    } catch (error) {
      if (!isStorageError(error)) throw error;
    }
  }

  #release(incarnation: string): void {
    for (const held of this.#held) {
      if (held.record.incarnation !== incarnation) continue;
      if (!this.#isEarly(this.#options.journal.reread(held.record))) this.#letGo(held);
    }
  }

  /** Records what is held of one task, or of all; those of execs first. */
  #letGoOf(incarnation?: string): void {
    const held = [...this.#held].filter(({ record }) => !incarnation || record.incarnation === incarnation);
    for (const one of held) if (one.record.execId) this.#letGo(one);
    for (const one of held) this.#letGo(one);
  }

  #letGo(held: HeldExit): void {
    if (!this.#held.delete(held)) return;
    clearTimeout(held.timer);
    try {
      this.#exited(this.#options.journal.reread(held.record), held.exit, held.envelope);
    } catch (error) {
      held.timer = setTimeout(() => this.#letGoInTime(held), this.#options.retryMs);
      this.#held.add(held);
      throw error;
    }
  }

  #record(record: ProcessRecord, envelope: Envelope, ordinal = 0n): void {
    const { incarnation, execIncarnation } = record;
    const { node, recorder } = this.#options;
    const { topic } = envelope;
    recorder.record({ id: taskEventId({ node, incarnation, execIncarnation, topic, ordinal }), envelope });
  }

  #change(record: ProcessRecord, change: Parameters<TaskJournal['update']>[1]): void {
    this.#options.journal.update(record, change);
  }

  #current(incarnation: string): ProcessRecord | undefined {
    return this.#options.journal.first(incarnation);
  }
}

function isSame(a: ProcessRecord, b: ProcessRecord): boolean {
  return a.incarnation === b.incarnation && a.execIncarnation === b.execIncarnation;
}

/** What a shim sends again has the time of its first sending, so the time tells one pause from the next. */
function nanoseconds(timestamp: Timestamp = timestampNow()): bigint {
  return timestamp.seconds * 1_000_000_000n + BigInt(timestamp.nanos);
}
