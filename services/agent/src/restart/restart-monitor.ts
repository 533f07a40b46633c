import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { type Labels, REMOVE_LABEL, Removal } from '@longshore/oci';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { Turns } from '@longshore/transfer';
import type { RemoveContainer } from '../removal/remove-container.ts';
import { isForOneTask, wantedRemoval } from '../removal/wanted-removal.ts';
import type { EventHub } from '../spool/event-hub.ts';
import type { TaskCall } from '../tasks/task-context.ts';
import { readTaskReport } from '../tasks/task-report.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { findTask } from './find-task.ts';
import type { OwnLabels } from './own-labels.ts';
import type { BackoffOptions } from './restart-backoff.ts';
import { RestartLabel } from './restart-labels.ts';
import { countOf, type TaskStatus, wants } from './restart-policy.ts';
import { endTask, type RestartParts, restartTask } from './restart-task.ts';
import type { ContainerName, SupervisedContainers } from './supervised-containers.ts';
import { Supervision } from './supervision.ts';

/** Containers that are looked at, ended or started at a time. */
const AT_ONCE = 4;
/** A container's removal waits no longer for those who read its log. */
const READERS_MS = 10 * 60_000;
/** For a task to be ended and made anew: a runtime that hangs must not keep the others waiting. As kubelet waits for runtimes. */
const RESTART_TIMEOUT_MS = 120_000;

export interface RestartMonitorOptions extends BackoffOptions, RestartParts {
  containers: SupervisedContainers;
  labels: OwnLabels;
  /** Throws FailedPrecondition while no task may be made of a container. */
  requireAdmitted(namespace: string, id: string): void;
  removeContainer: RemoveContainer;
  /** Resolves when nobody reads a container's log any more, which goes with it; undefined when nobody does. */
  logRead(namespace: string, id: string): Promise<void> | undefined;
  /** How long a container that is to be removed after its task may be without one that is started. */
  unstartedMs?: number;
  /** How long ending and making one task may take. */
  timeoutMs?: number;
  hub: EventHub;
  log: Logger;
}

/**
 * Keeps tasks as their containers' labels want them, by containerd's rules; see {@link wants}. Removes containers that are there for one task alone,
 * once that is over. It looks when a container or a task
 * changes, and at all of them at every interval. States: idle → started → closed.
 */
export class RestartMonitor implements AsyncDisposable {
  readonly #options: RestartMonitorOptions;
  readonly #closed = new AbortController();
  readonly #turns = new Turns(AT_ONCE);
  readonly #supervised = new Map<string, Supervision>();
  /** Containers that are being looked at; `again` when they changed meanwhile. */
  readonly #looking = new Map<string, { again: boolean; done: Promise<void> }>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Containers that somebody is stopping. */
  readonly #held = new Map<string, number>();
  #isSuspended = false;
  #isBoot = true;
  #interval: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: RestartMonitorOptions) {
    this.#options = options;
  }

  start(): void {
    const { containers, intervalMs } = this.#options;
    this.#unlisten = containers.onChange((name, isSupervised) => {
      if (isSupervised || this.#supervised.has(keyOf(name))) this.#wake(name);
    });
    void this.#followExits();
    void this.#lookAtAll().then(() => {
      this.#isBoot = false;
    });
    this.#interval = setInterval(() => void this.#lookAtAll(), intervalMs).unref();
  }

  /** Until this agent ends nothing is started any more: the host is about to end. */
  suspend(): void {
    this.#isSuspended = true;
  }

  /** Leaves the container alone while somebody else, for as long as `signal` lets them, ends its task. */
  async hold<T>(name: ContainerName, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const key = keyOf(name);
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    try {
      await unlessAborted(this.#looking.get(key)?.done ?? Promise.resolve(), signal);
      return await work();
    } finally {
      const left = this.#held.get(key)! - 1;
      if (left > 0) this.#held.set(key, left);
      else this.#held.delete(key);
      this.#wake(name);
    }
  }

  /** What is under way is cut short; the next agent goes on with it. */
  async close(): Promise<void> {
    clearInterval(this.#interval);
    this.#unlisten?.();
    this.#closed.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all([...this.#looking.values()].map(({ done }) => done));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #followExits(): Promise<void> {
    const { signal } = this.#closed;
    const { hub, log } = this.#options;
    const accepts = ({ topic }: { topic: string }) => topic === '/tasks/exit';
    while (!signal.aborted) {
      try {
        for await (const envelope of hub.subscribe({ signal, accepts })) this.#exited(envelope);
      } catch (error) {
        // What was missed is seen at the next interval.
        log.warn({ error: messageOf(error) }, 'exits of tasks were missed');
      }
    }
  }

  #exited(envelope: Envelope): void {
    const report = readTaskReport(envelope);
    if (report?.execId !== '') return;
    const name = { namespace: envelope.namespace, id: report.containerId };
    if (this.#supervised.has(keyOf(name))) this.#wake(name);
  }

  async #lookAtAll(): Promise<void> {
    try {
      for await (const name of this.#options.containers.names()) this.#wake(name);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#options.log.error({ error: messageOf(error) }, 'containers to restart cannot be read');
    }
  }

  #wake(name: ContainerName): void {
    if (this.#closed.signal.aborted) return;
    const key = keyOf(name);
    const looking = this.#looking.get(key);
    if (looking) {
      looking.again = true;
      return;
    }
    const isBoot = this.#isBoot;
    const state = { again: false, done: Promise.resolve() };
    this.#looking.set(key, state);
    state.done = this.#turns
      .run(() => this.#look(name, isBoot))
      .catch((error) => this.#report(name, error))
      .then(() => {
        this.#looking.delete(key);
        if (state.again) this.#wake(name);
      });
  }

  async #look(name: ContainerName, isBoot: boolean): Promise<void> {
    const { signal } = this.#closed;
    const key = keyOf(name);
    if (signal.aborted || this.#held.has(key)) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    const { containers, tasks, labels, intervalMs, maxMs } = this.#options;
    const container = await containers.find(name, signal);
    if (!container) {
      this.#supervised.delete(key);
      labels.forget(name.namespace, name.id);
      return;
    }
    const supervision = this.#supervised.get(key) ?? new Supervision(name, { intervalMs, maxMs }, isBoot);
    this.#supervised.set(key, supervision);
    const inForce = labels.over(name.namespace, name.id, container);
    const task = tasks.find(name.namespace, name.id);
    if (task && supervision.sawTask(task.record.incarnation)) void task.gone.then(() => this.#wake(name));
    if (task && task.state !== 'live') return;
    // It is being made, or its remains are being removed.
    if (!task && tasks.has(name.namespace, name.id)) return;
    const found = await findTask(tasks, task);
    supervision.saw(found.status, performance.now());
    if (isForOneTask(inForce)) return this.#removeWhenOver(supervision, container, inForce, found.status);
    const wanted = wants(inForce, found);
    if (wanted === 'stop') return this.#stop(name);
    if (wanted === 'start') return this.#startWhenDue(supervision, container, inForce);
    await labels.write(name.namespace, name.id);
  }

  async #stop({ namespace, id }: ContainerName): Promise<void> {
    this.#options.log.info({ namespace, id }, 'task is ended, as its container asks for');
    await endTask(this.#options.tasks, id, this.#callIn(namespace));
  }

  async #removeWhenOver(
    { name, sinceMs, hasHadTask }: Supervision,
    container: Container,
    inForce: Labels,
    status: TaskStatus,
  ): Promise<void> {
    const { tasks, labels, removeContainer, logRead, unstartedMs, log } = this.#options;
    const { namespace, id } = name;
    const forMs = performance.now() - sinceMs;
    const wanted = wantedRemoval(inForce, { status, forMs, hasBeen: hasHadTask }, unstartedMs);
    if (wanted === undefined) return;
    if (inForce[REMOVE_LABEL] !== Removal.Due) {
      // Before the task goes: an agent that finds none would not know that there was one.
      await labels.set(namespace, id, container, { [REMOVE_LABEL]: Removal.Due });
      if (wanted === 'remove') return this.#wake(name);
    }
    // After each step it is looked at again.
    if (wanted === 'end') return endTask(tasks, id, this.#callIn(namespace));
    const read = logRead(namespace, id);
    if (read && forMs < READERS_MS) {
      void read.then(() => this.#wake(name));
      return;
    }
    log.info({ namespace, id }, 'container is removed, since its task is over');
    await removeContainer(container, this.#callIn(namespace));
    labels.forget(namespace, id);
  }

  async #startWhenDue(
    supervision: Supervision,
    container: Container,
    labels: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { requireAdmitted, log } = this.#options;
    const { name } = supervision;
    const { namespace, id } = name;
    if (this.#isSuspended) return;
    requireAdmitted(namespace, id);
    const leftMs = supervision.dueMs - performance.now();
    if (leftMs > 0) {
      this.#timers.set(keyOf(name), setTimeout(() => this.#wake(name), leftMs).unref());
      return;
    }
    supervision.started(performance.now());
    const count = (countOf(labels) ?? 0) + 1;
    log.info({ namespace, id, count }, 'task is started, as its container asks for');
    await this.#options.labels.set(namespace, id, container, { [RestartLabel.Count]: `${count}` });
    await restartTask(this.#options, container, this.#callIn(namespace));
  }

  #callIn(namespace: string): TaskCall & { signal: AbortSignal } {
    const { timeoutMs = RESTART_TIMEOUT_MS } = this.#options;
    const deadline = new Date(Date.now() + timeoutMs);
    return { namespace, signal: this.#closed.signal, deadline };
  }

  /** What fails is tried again at the next interval. */
  #report({ namespace, id }: ContainerName, error: unknown): void {
    const { log } = this.#options;
    if (this.#closed.signal.aborted) return;
    const line = { namespace, id, error: messageOf(error) };
    // The node is cordoned, or the container is to go.
    if (isKind(error, 'FailedPrecondition')) log.debug(line, 'task may not be started');
    else log.warn(line, 'task cannot be kept as its container asks for');
  }
}

function keyOf({ namespace, id }: ContainerName): string {
  return `${namespace}/${id}`;
}
