import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from '@longshore/linux';
import type { Bundle } from './bundle.ts';
import { removeDeadSocket, type ShimCall, type ShimClient, type ShimMethod } from './shim-client.ts';
import type { ShimLog } from './shim-log.ts';
import type { TaskCall, TaskContext } from './task-context.ts';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';

/** Limits on what a shim may take to end. Source: containerd core/runtime/v2/shim.go. */
const SHUTDOWN_TIMEOUT_MS = 3_000;
const KILL_TIMEOUT_MS = 3_000;

/**
 * live: its shim serves it. leaving: being removed, on request or because its shim is gone. gone: nothing is left of
 * it and its id is free.
 */
export type TaskState = 'live' | 'leaving' | 'gone';

type Arguments<M extends ShimMethod> = Parameters<typeof ShimClient.prototype.call<M>>;

/** A task of this node: its bundle and a connection to its shim. */
export class Task {
  state: TaskState = 'live';
  readonly bundle: Bundle;
  readonly record: ProcessRecord;
  readonly client: ShimClient;
  readonly #context: TaskContext;
  readonly #log: ShimLog;
  readonly #gone = Promise.withResolvers<ProcessExit>();

  constructor(context: TaskContext, bundle: Bundle, record: ProcessRecord, client: ShimClient, log: ShimLog) {
    this.#context = context;
    this.bundle = bundle;
    this.record = record;
    this.client = client;
    this.#log = log;
  }

  get namespace(): string {
    return this.bundle.namespace;
  }

  get id(): string {
    return this.bundle.id;
  }

  /** Resolves when nothing is left of the task, with how its first process ended. */
  get gone(): Promise<ProcessExit> {
    return this.#gone.promise;
  }

  /** Calls the shim for this task. `timeoutMs` shortens the caller's own deadline. */
  call<M extends ShimMethod>(
    method: M,
    request: Omit<Arguments<M>[1], 'id'>,
    call: Partial<TaskCall> = {},
    timeoutMs?: number,
  ): ReturnType<typeof ShimClient.prototype.call<M>> {
    return this.client.call(
      method,
      { ...request, id: this.id } as Arguments<M>[1],
      this.#shimCall(call, timeoutMs),
    );
  }

  /**
   * Ends the shim, unless it holds other containers, and waits until it is gone: a new task of the same id would find
   * a dying shim's socket.
   */
  async endShim(): Promise<void> {
    const shimPid = await this.#shimPid();
    // It may be gone before it has answered, which is what is wanted.
    await this.call('shutdown', {}, {}, SHUTDOWN_TIMEOUT_MS).catch(() => undefined);
    if (!this.bundle.isGrouped) await this.#awaitEnd(shimPid);
    await this.disconnect();
    if (this.bundle.bootstrap) await removeDeadSocket(this.bundle.bootstrap);
  }

  /** Leaves shim and container as they are. */
  async disconnect(): Promise<void> {
    this.#log.close();
    await this.client.close();
  }

  markGone(exit: ProcessExit): void {
    this.state = 'gone';
    this.#gone.resolve(exit);
  }

  async #shimPid(): Promise<number> {
    const { shimPid } = await this.call('connect', {}, {}, SHUTDOWN_TIMEOUT_MS).catch(() => ({ shimPid: 0 }));
    return shimPid;
  }

  async #awaitEnd(shimPid: number): Promise<void> {
    if (await endsWithin(this.client, SHUTDOWN_TIMEOUT_MS)) return;
    this.#context.log.warn({ ...this.#subject(), shimPid }, 'shim does not end, killing it');
    kill(shimPid);
    await endsWithin(this.client, KILL_TIMEOUT_MS);
  }

  #shimCall({ signal, deadline }: Partial<TaskCall>, timeoutMs = Number.POSITIVE_INFINITY): ShimCall {
    const leftMs = deadline ? Math.max(1, deadline.getTime() - Date.now()) : Number.POSITIVE_INFINITY;
    const limitMs = Math.min(leftMs, timeoutMs);
    return {
      namespace: this.namespace,
      signal,
      timeoutMs: Number.isFinite(limitMs) ? limitMs : undefined,
      traceHeaders: this.#context.traceHeaders(),
    };
  }

  #subject(): { namespace: string; id: string } {
    return { namespace: this.namespace, id: this.id };
  }
}

async function endsWithin(client: ShimClient, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(timeoutMs, false, { signal: timer.signal }).catch(() => true);
  const ended = await Promise.race([client.closed.then(() => true), late]);
  timer.abort();
  return ended;
}

function kill(pid: number): void {
  if (pid <= 1) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
