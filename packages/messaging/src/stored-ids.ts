import { type Consumer, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { EVENT_STREAM } from './event-stream.ts';
import { fromNatsError } from './nats-error.ts';

export const MESSAGE_ID_HEADER = 'Nats-Msg-Id';

const PREFETCH = 512;

/**
 * The ids and sequences of the events of some subjects that were stored at or after a time; `filter` comes from
 * `subjectFilter`. For those who must know whether a publish of theirs, whose answer they did not see, was stored:
 * the server's own de-duplication forgets after a while. Costs one request when there is nothing to find.
 */
export async function findStoredIds(
  connection: NatsConnection,
  filter: string,
  since: Date,
): Promise<Map<string, bigint>> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const last = await manager.streams.getMessage(EVENT_STREAM, { last_by_subj: filter });
    if (last === null || last.time < since) return new Map();
    const consumer = await jetstream(connection).consumers.get(EVENT_STREAM, {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: since.toISOString(),
      headers_only: true,
    });
    return await collectIds(consumer);
  } catch (error) {
    throw fromNatsError(error);
  }
}

/** The id of the event with this sequence; undefined when the stream has none (any more, or yet). */
export async function storedIdAt(connection: NatsConnection, seq: bigint): Promise<string | undefined> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const message = await manager.streams.getMessage(EVENT_STREAM, { seq: Number(seq) });
    return message?.header.get(MESSAGE_ID_HEADER) || undefined;
  } catch (error) {
    throw fromNatsError(error);
  }
}

async function collectIds(consumer: Consumer): Promise<Map<string, bigint>> {
  const ids = new Map<string, bigint>();
  try {
    const { num_pending: pending } = await consumer.info(true);
    if (pending === 0) return ids;
    const messages = await consumer.consume({ max_messages: PREFETCH });
    for await (const message of messages) {
      const id = message.headers?.get(MESSAGE_ID_HEADER);
      if (id) ids.set(id, BigInt(message.seq));
      if (message.info.pending === 0) break;
    }
    void messages.close();
    return ids;
  } finally {
    // Best effort: the server forgets the consumer by itself.
    await consumer.delete().catch(() => false);
  }
}
