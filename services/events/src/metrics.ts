import type { Metrics } from '@longshore/kit';

/** A number that only grows, or one that goes up and down, for each value of at most one label. */
export class Meter {
  readonly name: string;
  readonly #help: string;
  readonly #type: 'counter' | 'gauge';
  readonly #label: string | undefined;
  readonly #values = new Map<string, number>();

  constructor(type: 'counter' | 'gauge', name: string, help: string, label?: string) {
    this.name = name;
    this.#type = type;
    this.#help = help;
    this.#label = label;
    if (label === undefined) this.#values.set('', 0);
  }

  add(amount: number, labelValue = ''): void {
    this.set((this.#values.get(labelValue) ?? 0) + amount, labelValue);
  }

  set(value: number, labelValue = ''): void {
    this.#values.set(labelValue, value);
  }

  value(labelValue = ''): number {
    return this.#values.get(labelValue) ?? 0;
  }

  /** What the registry asks for at a scrape. */
  async get() {
    const values = Array.from(this.#values, ([labelValue, value]) => ({
      value,
      labels: this.#label === undefined ? {} : { [this.#label]: labelValue },
    }));
    return { name: this.name, help: this.#help, type: this.#type, aggregator: 'sum', values };
  }
}

export type EventMetrics = Readonly<Record<keyof ReturnType<typeof meters>, Meter>>;

function meters() {
  return {
    relayed: new Meter(
      'counter',
      'longshore_relay_rows_total',
      'Outbox rows stored in the stream.',
      'schema',
    ),
    repeated: new Meter(
      'counter',
      'longshore_relay_repeated_rows_total',
      'Outbox rows that the stream had already: their acknowledgement had been lost.',
      'schema',
    ),
    failed: new Meter(
      'counter',
      'longshore_relay_failures_total',
      'Rounds that did not store all rows.',
      'schema',
    ),
    rewound: new Meter(
      'counter',
      'longshore_relay_rewound_rows_total',
      'Relayed rows that the stream has lost, published again.',
      'schema',
    ),
    pruned: new Meter(
      'counter',
      'longshore_relay_pruned_rows_total',
      'Relayed rows deleted after a time.',
      'schema',
    ),
    partitions: new Meter(
      'gauge',
      'longshore_relay_partitions',
      'Partitions that this process leads.',
      'schema',
    ),
    lagRows: new Meter('gauge', 'longshore_relay_lag_rows', 'Outbox rows that wait to be relayed.', 'schema'),
    lagSeconds: new Meter(
      'gauge',
      'longshore_relay_lag_seconds',
      'Age of the oldest outbox row that waits to be relayed.',
      'schema',
    ),
    spooled: new Meter(
      'counter',
      'longshore_spool_events_total',
      "Events of nodes' spools stored in the stream.",
    ),
    subscribers: new Meter('gauge', 'longshore_events_subscribers', 'Open Subscribe calls.'),
    connected: new Meter(
      'gauge',
      'longshore_events_nats_connected',
      '1 while there is a connection to NATS.',
    ),
  };
}

type Registered = Parameters<Metrics['registry']['registerMetric']>[0];

/** Every metric of this service. */
export function createEventMetrics({ registry }: Pick<Metrics, 'registry'>): EventMetrics {
  const created = meters();
  // The registry reads a metric by `name` and `get()` alone, whatever its declared type says.
  for (const meter of Object.values(created)) registry.registerMetric(meter as unknown as Registered);
  return created;
}
