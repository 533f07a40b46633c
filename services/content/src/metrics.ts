import type { Metrics } from '@longshore/kit';
import type { HealthMeter } from './domain/blob-health.ts';

/** What the gauges show; asked at each scrape. */
export interface StoreMeasures {
  /** Blobs in quarantine. */
  corrupt: number;
  /** Since the blob that was read whole longest ago was, or came in. */
  oldestSeconds: number;
}

type Registered = Parameters<Metrics['registry']['registerMetric']>[0];

/** Every metric of this service's own, beside those of the kit. */
export function contentMetrics(
  { registry }: Pick<Metrics, 'registry'>,
  measure: () => Promise<StoreMeasures>,
): { health: HealthMeter } {
  const counts = { verified: 0, bytes: 0, quarantined: 0 };
  const register = (type: 'counter' | 'gauge', name: string, help: string, read: () => Value) => {
    const get = async () => ({ name, help, type, aggregator: 'sum', values: valuesOf(await read()) });
    // The registry reads a metric by `name` and `get()` alone, whatever its declared type says.
    registry.registerMetric({ name, get } as unknown as Registered);
  };
  register(
    'counter',
    'longshore_content_verified_blobs_total',
    'Stored blobs that this process read whole and found to be right.',
    () => counts.verified,
  );
  register(
    'counter',
    'longshore_content_verified_bytes_total',
    'Bytes of stored blobs that this process read to verify them.',
    () => counts.bytes,
  );
  register(
    'counter',
    'longshore_content_quarantined_blobs_total',
    'Stored blobs that this process found to be corrupt.',
    () => counts.quarantined,
  );
  // Without an answer of the database these have no value.
  const measured = () => measure().catch(() => undefined);
  register(
    'gauge',
    'longshore_content_corrupt_blobs',
    'Blobs in quarantine, of the whole store: every replica says the same.',
    async () => (await measured())?.corrupt,
  );
  register(
    'gauge',
    'longshore_content_oldest_verification_seconds',
    'Since the blob that was read whole longest ago was, or came in: every replica says the same.',
    async () => (await measured())?.oldestSeconds,
  );
  return {
    health: {
      read: (lengthBytes) => {
        counts.bytes += lengthBytes;
      },
      verified: () => {
        counts.verified += 1;
      },
      quarantined: () => {
        counts.quarantined += 1;
      },
    },
  };
}

type Value = number | undefined | Promise<number | undefined>;

function valuesOf(value: number | undefined) {
  return value === undefined ? [] : [{ value, labels: {} }];
}
