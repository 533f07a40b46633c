import { expect } from 'vitest';
import type { OutboxWriter } from './outbox-writer.ts';
import type { TestStream } from './stream.ts';

const DEADLINE_MS = 30_000;

/** Waits until no row waits, then holds every outbox against the stream: each row once, in order per resource. */
export async function expectRelayed(stream: TestStream, writers: OutboxWriter[]): Promise<void> {
  for (const writer of writers) await expect.poll(() => writer.waiting(), { timeout: DEADLINE_MS }).toBe(0);
  const events = await stream.events();
  const position = new Map(events.map(({ event, seq }) => [event.id, seq]));
  expect(position.size, 'an id is stored twice').toBe(events.length);
  for (const writer of writers) {
    const rows = await writer.rows();
    const lastOf = new Map<string, bigint>();
    for (const { id, namespace, node, subject, stream_seq } of rows) {
      const seq = position.get(id);
      expect(seq, `row ${id} is not in the stream`).toBeDefined();
      expect(stream_seq).toBe(seq);
      const resource = `${namespace}/${node}/${subject}`;
      expect(seq! > (lastOf.get(resource) ?? 0n), `events of ${resource} are out of order`).toBe(true);
      lastOf.set(resource, seq!);
    }
  }
}
