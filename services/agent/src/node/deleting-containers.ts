import { setTimeout as delay } from 'node:timers/promises';
import { failedPrecondition, isKind, messageOf, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import type { ServiceClient } from '@longshore/rpc';
import type { TaskManager } from '../tasks/task-manager.ts';

const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 5_000, attempts: Number.POSITIVE_INFINITY };

export interface DeletingOptions {
  nodeId: string;
  tasks: TaskManager;
  containers: ServiceClient<typeof ContainerService>;
  log: Logger;
}

/** Containers that were deleted at the fleet's edge while this node was away: they go once no task of theirs is here. */
export class DeletingContainers {
  readonly #options: DeletingOptions;
  readonly #stopped = new AbortController();
  /** By `namespace/id`; no new task is made of these. */
  readonly #confirming = new Map<string, Promise<void>>();

  constructor(options: DeletingOptions) {
    this.#options = options;
  }

  /**
   * Says so to the control plane once no task of the container is left, however long that takes; resolves when its record
   * is gone, or this is closed. Never rejects; asking again while it is under way is one.
   */
  confirm(namespace: string, id: string): Promise<void> {
    const key = `${namespace}/${id}`;
    const under = this.#confirming.get(key);
    if (under) return under;
    const confirming = this.#confirm(namespace, id).finally(() => this.#confirming.delete(key));
    this.#confirming.set(key, confirming);
    return confirming;
  }

  /**
   * Of tasks that outlived their containers: says of those that are gone by now that what they had mounted may go. What cannot be
   * said now is asked for again by the next heartbeat.
   */
  release(kept: readonly { namespace: string; id: string }[]): void {
    const { nodeId, tasks, containers, log } = this.#options;
    for (const { namespace, id } of kept) {
      if (tasks.has(namespace, id)) continue;
      const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
      containers.releaseTask({ id }, { headers, signal: this.#stopped.signal }).catch((error) => {
        log.debug({ namespace, id, error: messageOf(error) }, 'a task that is gone cannot be released yet');
      });
    }
  }

  /** Throws FailedPrecondition for a container that is to go. */
  requireKept(namespace: string, id: string): void {
    if (!this.#confirming.has(`${namespace}/${id}`)) return;
    throw failedPrecondition(`container ${JSON.stringify(id)}: is being deleted`);
  }

  close(): void {
    this.#stopped.abort();
  }

  async #confirm(namespace: string, id: string): Promise<void> {
    const { nodeId, tasks, containers, log } = this.#options;
    const { signal } = this.#stopped;
    const headers = { [Header.Namespace]: namespace, [Header.Node]: nodeId };
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        if (!tasks.has(namespace, id)) {
          await containers.confirmDeleting({ id }, { headers, signal });
          log.info({ namespace, id }, 'container is deleted, as the fleet asked for');
          return;
        }
      } catch (error) {
        // Somebody else was faster.
        if (isKind(error, 'NotFound')) return;
        log.debug({ namespace, id, error: messageOf(error) }, 'deletion cannot be confirmed yet');
      }
      await delay(retryDelayMs(RETRY, attempt), undefined, { signal }).catch(() => undefined);
    }
  }
}
