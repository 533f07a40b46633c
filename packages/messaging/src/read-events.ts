import {
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { decodeEvent } from './cloud-event.ts';
import { EVENT_STREAM } from './event-stream.ts';
import type { LifecycleEvent } from './lifecycle-event.ts';
import { fromNatsError } from './nats-error.ts';
import type { NatsLink } from './nats-link.ts';

export interface StoredEvent {
  /** Sequence in the stream. */
  seq: bigint;
  event: LifecycleEvent;
}

export interface ReadEventsOptions {
  /** From `subjectFilter`. */
  filter: string;
  /** The first sequence to deliver, or the time of the first event; events older than the retention are skipped. */
  start: bigint | Date;
  signal: AbortSignal;
  /** Told of messages that are no events of ours; they are skipped. */
  onInvalid?: ((seq: bigint, error: unknown) => void) | undefined;
}

/** Messages fetched ahead of a reader: what a slow one costs in memory. */
const PREFETCH = 64;
/** A reader that vanished without goodbye is forgotten by the server after this. */
const INACTIVE_THRESHOLD_MS = 60_000;

/** Sequences of the oldest and the newest event that the stream keeps; `last` is 0 before there was any. */
export interface StreamBounds {
  first: bigint;
  last: bigint;
}

/** Throws Unavailable. */
export async function streamBounds(connection: NatsConnection): Promise<StreamBounds> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const { state } = await manager.streams.info(EVENT_STREAM);
    return { first: BigInt(state.first_seq), last: BigInt(state.last_seq) };
  } catch (error) {
    throw fromNatsError(error);
  }
}

/**
 * Delivers stored and then new events in the order of the stream, until the signal aborts. A lost connection is
 * waited out and reading goes on behind the last event delivered. A reader that is slow holds back only itself.
 */
export async function* readEvents(link: NatsLink, options: ReadEventsOptions): AsyncGenerator<StoredEvent> {
  const { signal } = options;
  let next = options.start;
  while (!signal.aborted) {
    const connection = await link.connected(signal);
    try {
      for await (const message of consume(connection, options.filter, next, signal)) {
        next = BigInt(message.seq) + 1n;
        const stored = decode(message, options);
        if (stored) yield stored;
      }
    } catch (error) {
      if (!connection.isClosed()) throw fromNatsError(error);
    }
  }
}

function decode(message: JsMsg, options: ReadEventsOptions): StoredEvent | undefined {
  const seq = BigInt(message.seq);
  try {
    return { seq, event: decodeEvent(message.data) };
  } catch (error) {
    options.onInvalid?.(seq, error);
    return undefined;
  }
}

async function* consume(
  connection: NatsConnection,
  filter: string,
  start: bigint | Date,
  signal: AbortSignal,
): AsyncGenerator<JsMsg> {
  const consumer = await jetstream(connection).consumers.get(EVENT_STREAM, {
    filter_subjects: filter,
    ...startOf(start),
    inactive_threshold: INACTIVE_THRESHOLD_MS,
  });
  const messages = await consumer.consume({ max_messages: PREFETCH });
  const stop = () => void messages.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (!signal.aborted) yield* messages;
  } finally {
    signal.removeEventListener('abort', stop);
    await leave(messages, () => consumer.delete());
  }
}

function startOf(start: bigint | Date) {
  return start instanceof Date
    ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.toISOString() }
    : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(start) };
}

/** Saves the server the wait for {@link INACTIVE_THRESHOLD_MS}. */
async function leave(messages: ConsumerMessages, forget: () => Promise<boolean>): Promise<void> {
  void messages.close();
  // With the connection gone there is nobody to tell; the server forgets by itself.
  await forget().catch(() => false);
}
