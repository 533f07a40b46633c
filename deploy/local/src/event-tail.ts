import { setTimeout as sleep } from 'node:timers/promises';
import { type CloudEvent, EVENT_STREAM } from '@longshore/messaging';
import {
  type Consumer,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Nats } from './nats.ts';

const STREAM_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

/**
 * Tells of every lifecycle event from now on, as any subscriber over NATS would see it, until closed.
 * Waits for the stream, which the `events` service makes.
 */
export async function tailEvents(nats: Nats, onEvent: (event: CloudEvent) => void): Promise<AsyncDisposable> {
  const connection = await connect({
    servers: nats.url,
    user: nats.user,
    pass: nats.password,
    name: 'longshore npm start',
    maxReconnectAttempts: -1,
  });
  const consumer = await newEvents(connection);
  const messages = await consumer.consume();
  const reading = (async () => {
    for await (const message of messages) onEvent(message.json<CloudEvent>());
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      await messages.close();
      await reading;
      await connection.close();
    },
  };
}

async function newEvents(connection: NatsConnection): Promise<Consumer> {
  const { consumers } = jetstream(connection);
  const deadline = performance.now() + STREAM_TIMEOUT_MS;
  for (;;) {
    try {
      return await consumers.get(EVENT_STREAM, { deliver_policy: DeliverPolicy.New });
    } catch (error) {
      if (!isStreamMissing(error) || performance.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

function isStreamMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
}

/** One line: time, topic, what it is about. */
export function describeEvent({ time, topic, namespace, subject }: CloudEvent): string {
  const clock = new Date(time).toISOString().slice(11, 23);
  return `event ${clock} ${topic.padEnd(22)} ${namespace}${subject === undefined ? '' : `/${subject}`}`;
}
