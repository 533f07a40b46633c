import type { Stored } from '@longshore/messaging';
import type { OutboxRow } from '../storage/postgres/outbox-repository.ts';

export interface PublishedRow {
  partition: number;
  seq: bigint;
  streamSeq: bigint;
  isDuplicate: boolean;
}

export interface PublishResult {
  published: PublishedRow[];
  /** Partitions that stopped, with the first error of each: some of their rows may be stored without our knowing. */
  failed: Map<number, unknown>;
}

/**
 * Publishes rows without waiting for one another, but for rows about the same thing: there the next is sent only
 * when the one before is stored, or a lost message would be overtaken for ever. A failure stops its partition; what
 * was on its way is still waited for. Nothing more starts in a partition that is not led any more.
 */
export async function publishRows(
  rows: OutboxRow[],
  publish: (row: OutboxRow) => Promise<Stored>,
  isLed: (partition: number) => boolean,
): Promise<PublishResult> {
  const published: PublishedRow[] = [];
  const failed = new Map<number, unknown>();
  const lastOf = new Map<string, Promise<void>>();

  const send = async (row: OutboxRow): Promise<void> => {
    const { partition, seq } = row;
    if (failed.has(partition) || !isLed(partition)) return;
    try {
      const { seq: streamSeq, isDuplicate } = await publish(row);
      published.push({ partition, seq, streamSeq, isDuplicate });
    } catch (error) {
      if (!failed.has(partition)) failed.set(partition, error);
    }
  };

  for (const row of rows) {
    const resource = JSON.stringify([row.namespace, row.node, row.subject]);
    const before = lastOf.get(resource);
    lastOf.set(resource, before ? before.then(() => send(row)) : send(row));
  }
  await Promise.all(lastOf.values());
  return { published, failed };
}

/**
 * The rows that may be published now: each partition's up to its first unsafe one. A row may become safe before one
 * that it follows, because transaction ids are drawn before locks; so safety alone would not keep the order.
 */
export function safeRows(rows: OutboxRow[]): OutboxRow[] {
  const stopped = new Set<number>();
  return rows.filter((row) => {
    if (!row.isSafe) stopped.add(row.partition);
    return !stopped.has(row.partition);
  });
}
