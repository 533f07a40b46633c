import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Fleet } from './fleet.ts';

const STREAM = 'LONGSHORE_EVENTS';

export interface StoredEvent {
  id: string;
  topic: string;
  node: string;
  /** Id of the container, or key of the snapshot; empty for events about something else. */
  about: string;
  /** The whole document. */
  text: string;
}

/** What the stream holds now, in its order. Throws while NATS or the stream is away. */
export async function storedEvents(fleet: Fleet): Promise<StoredEvent[]> {
  const { user, password } = fleet.local.stores.nats;
  const connection = await connect({ servers: fleet.stores.natsUrl, user, pass: password, reconnect: false });
  try {
    const { state } = await (await jetstreamManager(connection)).streams.info(STREAM);
    const events: StoredEvent[] = [];
    if (state.messages === 0) return events;
    const consumer = await jetstream(connection).consumers.get(STREAM, { deliver_policy: DeliverPolicy.All });
    for await (const message of await consumer.consume()) {
      const { topic, data } = message.json<{ topic: string; data: Record<string, unknown> }>();
      events.push({
        id: message.headers?.get('Nats-Msg-Id') ?? '',
        topic,
        node: message.subject.split('.')[3] ?? '',
        about: String(data.container_id ?? data.id ?? data.key ?? ''),
        text: message.string(),
      });
      if (events.length >= state.messages) break;
    }
    return events;
  } finally {
    await connection.close();
  }
}

/** Those that are there more than once. */
export function repeated(events: readonly StoredEvent[]): StoredEvent[] {
  const seen = new Set<string>();
  return events.filter(({ id }) => seen.has(id) || !seen.add(id));
}
