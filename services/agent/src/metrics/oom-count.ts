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
    const accepts = ({ topic }: { topic: string }) => topic === OOM || topic === DELETED;
    for await (const envelope of hub.subscribe({ signal: this.#closing.signal, accepts })) {
      const report = readTaskReport(envelope);
      if (!report || report.execId) continue;
      const key = keyOf(envelope.namespace, report.containerId);
      if (envelope.topic === OOM) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      else this.#counts.delete(key);
    }
  }
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
