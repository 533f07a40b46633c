import type { Logger } from '@longshore/kit';
import type { Bundle, BundleDirectories } from './bundle.ts';
import { sharesShim } from './list-bundles.ts';
import { removeDeadSocket, type ShimCall, type ShimClient, type ShimMethod } from './shim-client.ts';
import type { ShimLog } from './shim-log.ts';
import { descendants, kill, killSame, shimPid } from './shim-processes.ts';
import type { TaskCall } from './task-call.ts';
import type { ProcessRecord } from './task-journal.ts';
import type { ProcessExit } from './task-report.ts';

/** Limits on what a shim may take to end. Source: containerd core/runtime/v2/shim.go. */
const SHUTDOWN_TIMEOUT_MS = 3_000;
const KILL_TIMEOUT_MS = 3_000;

/**
 * unanswering: an earlier agent's, whose shim has not said yet how it is. live: its shim serves it. leaving: being removed,
 * on request or because its shim is gone. gone: nothing is left of it and its id is free.
 */
export type TaskState = 'unanswering' | 'live' | 'leaving' | 'gone';

/** What a task needs of what all work on tasks shares. */
export interface TaskEnvironment {
  readonly directories: BundleDirectories;
  readonly log: Logger;
  traceHeaders(): Record<string, string>;
}

type Arguments<M extends ShimMethod> = Parameters<typeof ShimClient.prototype.call<M>>;

/** A task of this node: its bundle and a connection to its shim. */
export class Task {
  state: TaskState = 'live';
  /** Resolves once the task is not `unanswering` any more. Never rejects. */
  settled: Promise<void> = Promise.resolve();
  /** Resolves when the deletion under way has ended, however; never rejects. */
  deleting: Promise<void> | undefined;
  /** Execs that are being added. */
  readonly adding = new Set<string>();
  readonly bundle: Bundle;
  readonly record: ProcessRecord;
  readonly client: ShimClient;
  readonly #context: TaskEnvironment;
  readonly #log: Pick<ShimLog, 'close'>;
  readonly #gone = Promise.withResolvers<ProcessExit>();

  constructor(
    context: TaskEnvironment,
    bundle: Bundle,
    record: ProcessRecord,
    client: ShimClient,
    log: Pick<ShimLog, 'close'>,
  ) {
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
   * a dying shim's socket. Takes 6 s at most, with a shim that neither answers nor dies.
   */
  async endShim(): Promise<void> {
    // It may be gone before it has answered.
    const asked = this.call('shutdown', {}, {}, SHUTDOWN_TIMEOUT_MS).catch(() => undefined);
    if (this.bundle.isGrouped) await asked;
    else if (!(await endsWithin(this.client, SHUTDOWN_TIMEOUT_MS)) && !this.sharesShim) await this.killShim();
    await this.disconnect();
    const { bootstrap } = this.bundle;
    if (bootstrap) await removeDeadSocket(bootstrap);
  }

  /** True when the shim holds other containers too, or may. */
  get sharesShim(): boolean {
    return this.bundle.isGrouped || sharesShim(this.#context.directories, this.bundle);
  }

  /** Ends the shim by SIGKILL, with all that it holds, whether it answers or not. Waits until it is gone, 3 s at most. */
  async killShim(): Promise<void> {
    const { bootstrap } = this.bundle;
    const pid = bootstrap && (await shimPid(bootstrap));
    this.#context.log.warn({ ...this.#subject(), shimPid: pid }, 'shim does not end or answer, killing it');
    if (pid === undefined) return;
    kill(pid);
    await endsWithin(this.client, KILL_TIMEOUT_MS);
  }

  /** As {@link killShim}, with the runtime and what that has started, e.g. a hook of the spec: they would go on without the shim. */
  async killShimTree(): Promise<void> {
    const { bootstrap } = this.bundle;
    const pid = bootstrap && (await shimPid(bootstrap));
    const below = pid === undefined ? [] : descendants(pid);
    await this.killShim();
    for (const one of below) killSame(one);
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
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  void client.closed.then(() => resolve(true));
  const ended = await promise;
  clearTimeout(timer);
  return ended;
}
