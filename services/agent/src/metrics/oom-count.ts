import type { Envelope } from '@longshore/proto/containerd/types/event';
import type { EventHub } from '../spool/event-hub.ts';
import { readTaskReport } from '../tasks/task-report.ts';

const OOM = '/tasks/oom';
const DELETED = '/tasks/delete';

/**
 * How often each task of this node was out of memory since the agent started, by its events; until it is deleted. On cgroup v2
 * the kernel itself counts.
 */
export class OomCount implements Disposable {
  readonly #counts = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(hub: EventHub) {
    void this.#follow(hub);
  }

  of(namespace: string, id: string): number {
    return this.#counts.get(keyOf(namespace, id)) ?? 0;
  }

  close(): void {
    this.#closing.abort();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #follow(hub: EventHub): Promise<void> {
    const { signal } = this.#closing;
    const accepts = ({ topic }: { topic: string }) => topic === OOM || topic === DELETED;
    while (!signal.aborted) {
      try {
        for await (const envelope of hub.subscribe({ signal, accepts })) this.#take(envelope);
      } catch {
        // So many came at once that some were missed.
      }
    }
  }

  #take(envelope: Envelope): void {
    const report = readTaskReport(envelope);
    if (!report || report.execId) return;
    const key = keyOf(envelope.namespace, report.containerId);
    if (envelope.topic === OOM) this.#counts.set(key, this.of(envelope.namespace, report.containerId) + 1);
    else this.#counts.delete(key);
  }
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
