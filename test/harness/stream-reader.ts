import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

export interface StreamedEvent {
  subject: string;
  messageId: string;
  /** Milliseconds since 1970. */
  receivedMs: number;
  body: { id: string; topic: string; data: Record<string, unknown> };
}

/** A subscriber of the stream, from its beginning. */
export interface EventStream extends AsyncDisposable {
  /** What has come so far, in the order of the stream. */
  readonly seen: readonly StreamedEvent[];
  /** Topics of those events whose payload names the container, or the snapshot of its name, in that order. */
  topicsOf(id: string): string[];
}

export interface StreamServer {
  url: string;
  user: string;
  password: string;
}

/** An ordered consumer over the whole stream, as anyone would write it. */
export async function readStream({ url, user, password }: StreamServer): Promise<EventStream> {
  const connection = await connect({ servers: url, user, pass: password });
  const consumer = await jetstream(connection).consumers.get('LONGSHORE_EVENTS', {
    deliver_policy: DeliverPolicy.All,
  });
  const messages = await consumer.consume();
  const seen: StreamedEvent[] = [];
  void (async () => {
    for await (const message of messages) {
      const receivedMs = Date.now();
      const messageId = message.headers?.get('Nats-Msg-Id') ?? '';
      seen.push({ subject: message.subject, messageId, receivedMs, body: message.json() });
    }
  })();
  return {
    seen,
    topicsOf: (id) =>
      seen
        .filter(({ body }) => [body.data.id, body.data.container_id, body.data.key].includes(id))
        .map(({ body }) => body.topic),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
