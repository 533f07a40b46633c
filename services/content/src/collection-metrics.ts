import type { Metrics } from '@longshore/kit';
import type { Removed } from './domain/collection.ts';
import type { CollectionOutcome } from './domain/collector.ts';

/** Told of what collections do. */
export interface CollectionMeter {
  removed(removed: readonly Removed[]): void;
  ended(outcome: CollectionOutcome, seconds: number): void;
}

type Registered = Parameters<Metrics['registry']['registerMetric']>[0];

/** A counter for each value of a label. */
class Counter {
  readonly #label: string;
  readonly #values = new Map<string, number>();

  constructor({ registry }: Pick<Metrics, 'registry'>, name: string, label: string, help: string) {
    this.#label = label;
    const get = async () => ({ name, help, type: 'counter', aggregator: 'sum', values: this.#read() });
    // The registry reads a metric by `name` and `get()` alone, whatever its declared type says.
    registry.registerMetric({ name, get } as unknown as Registered);
  }

  add(labelValue: string, amount: number): void {
    this.#values.set(labelValue, (this.#values.get(labelValue) ?? 0) + amount);
  }

  #read() {
    return Array.from(this.#values, ([value, count]) => ({ value: count, labels: { [this.#label]: value } }));
  }
}

/** The metrics of collections that this process ran. */
export function collectionMetrics(metrics: Pick<Metrics, 'registry'>): CollectionMeter {
  const ended = new Counter(
    metrics,
    'longshore_content_collections_total',
    'outcome',
    'Collections of a scope, by how they ended: completed, failed, or why they stopped before they removed anything.',
  );
  const seconds = new Counter(
    metrics,
    'longshore_content_collection_seconds_total',
    'outcome',
    'Time that collections took, by how they ended.',
  );
  const removed = new Counter(
    metrics,
    'longshore_content_collected_records_total',
    'kind',
    'Records of all services that collections removed.',
  );
  return {
    removed: (records) => {
      for (const { kind } of records) removed.add(kind, 1);
    },
    ended: (outcome, took) => {
      ended.add(outcome, 1);
      seconds.add(outcome, took);
    },
  };
}
