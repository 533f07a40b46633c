import { type CloudEvent, EVENT_STREAM } from '@longshore/messaging';
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Nats } from './nats.ts';

/**
 * Tells of every lifecycle event from now on, as any subscriber over NATS would see it, until closed.
 * Needs the stream, so a running `events` service.
 */
export async function tailEvents(nats: Nats, onEvent: (event: CloudEvent) => void): Promise<AsyncDisposable> {
  const connection = await connect({
    servers: nats.url,
    user: nats.user,
    pass: nats.password,
    name: 'longshore npm start',
    maxReconnectAttempts: -1,
  });
  const consumer = await jetstream(connection).consumers.get(EVENT_STREAM, {
    deliver_policy: DeliverPolicy.New,
  });
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

/** One line: time, topic, what it is about. */
export function describeEvent({ time, topic, namespace, subject }: CloudEvent): string {
  const clock = new Date(time).toISOString().slice(11, 23);
  return `event ${clock} ${topic.padEnd(22)} ${namespace}${subject === undefined ? '' : `/${subject}`}`;
}
