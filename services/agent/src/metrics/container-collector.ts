import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { MetricsSchema as V1Schema } from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import { MetricsSchema as V2Schema } from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import type { Task } from '../tasks/task.ts';
import { STATS_TIMEOUT_MS } from '../tasks/task-metrics.ts';
import { V1_SERIES } from './cgroup-v1.ts';
import { V2_SERIES } from './cgroup-v2.ts';
import { Exposition, labelText } from './exposition.ts';
import type { OomCount } from './oom-count.ts';
import type { Series } from './series.ts';

/** Shims that are asked at the same time: each takes a moment of a processor. */
const AT_ONCE = 16;

/** Prometheus gives up after 10 s by default: some containers' series are better than none. */
const SCRAPE_TIMEOUT_MS = 8_000;

const OOM_SERIES = {
  name: 'container_memory_oom_total',
  help: 'The number of times a container has received an oom event',
  type: 'counter',
} as const;

export interface ContainerCollectorOptions {
  tasks: { running(): Pick<Task, 'namespace' | 'id' | 'call'>[] };
  /** Name of the container's runtime; undefined when its record is not here. */
  runtimeOf(namespace: string, id: string): string | undefined;
  ooms: Pick<OomCount, 'of'>;
  log: Logger;
  scrapeTimeoutMs?: number;
}

/** Prometheus series of the containers of this node, named as containerd names them; their shims are asked at each scrape. */
export class ContainerCollector {
  readonly #options: Required<ContainerCollectorOptions>;
  #underWay: Promise<string> | undefined;

  constructor(options: ContainerCollectorOptions) {
    this.#options = { scrapeTimeoutMs: SCRAPE_TIMEOUT_MS, ...options };
  }

  /** Text for a scrape. Never rejects: a task that cannot tell is left out. Several scrapes at once share one answer. */
  text(): Promise<string> {
    this.#underWay ??= this.#collect().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #collect(): Promise<string> {
    const { tasks, scrapeTimeoutMs, log } = this.#options;
    const exposition = new Exposition();
    const waiting = tasks.running();
    const until = performance.now() + scrapeTimeoutMs;
    const work = async () => {
      while (performance.now() < until) {
        const task = waiting.pop();
        if (!task) return;
        const leftMs = until - performance.now();
        const stats = await this.#stats(task, Math.max(1, Math.min(STATS_TIMEOUT_MS, leftMs)));
        if (stats) this.#write(exposition, task, stats);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (waiting.length > 0) log.warn({ tasks: waiting.length }, 'no time for the metrics of all tasks');
    return exposition.toString();
  }

  async #stats(task: Pick<Task, 'namespace' | 'id' | 'call'>, timeoutMs: number): Promise<Any | undefined> {
    try {
      return (await task.call('stats', {}, {}, timeoutMs)).stats;
    } catch (error) {
      const { namespace, id } = task;
      // It ended meanwhile.
      if (!isKind(error, 'NotFound')) {
        this.#options.log.debug({ namespace, id, error: messageOf(error) }, 'no metrics of task');
      }
      return undefined;
    }
  }

  #write(to: Exposition, { namespace, id }: Pick<Task, 'namespace' | 'id'>, stats: Any): void {
    const { runtimeOf, ooms } = this.#options;
    const runtime = runtimeOf(namespace, id);
    const common = labelText({ container_id: id, namespace, ...(runtime && { runtime }) });
    const v1 = decoded(V1Schema, stats);
    if (v1) {
      write(to, common, V1_SERIES, v1);
      to.add(OOM_SERIES, common, { value: ooms.of(namespace, id) });
    }
    const v2 = decoded(V2Schema, stats);
    if (v2) write(to, common, V2_SERIES, v2);
  }
}

function write<Stats>(to: Exposition, common: string, table: readonly Series<Stats>[], stats: Stats): void {
  for (const series of table) {
    for (const sample of series.samples(stats)) to.add(series, common, sample);
  }
}

/** Undefined for another type, and for bytes that are not what their type says: the shim is somebody else's program. */
function decoded<D extends DescMessage>(schema: D, { typeUrl, value }: Any): MessageShape<D> | undefined {
  if (typeUrl.slice(typeUrl.lastIndexOf('/') + 1) !== schema.typeName) return undefined;
  try {
    return fromBinary(schema, value);
  } catch {
    return undefined;
  }
}
