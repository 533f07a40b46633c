import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let stack: Stack;
let busybox: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
afterAll(() => stack?.close());

interface Seen {
  subject: string;
  messageId: string;
  body: { id: string; topic: string; specversion: string; data: Record<string, unknown> };
}

/** A subscriber as anyone would write it: an ordered consumer over the stream, from its beginning. */
async function subscribe(seen: Seen[]): Promise<AsyncDisposable> {
  const { url, user, password } = stack.nats;
  const connection = await connect({ servers: url, user, pass: password });
  const consumer = await jetstream(connection).consumers.get('LONGSHORE_EVENTS', {
    deliver_policy: DeliverPolicy.All,
  });
  const messages = await consumer.consume();
  void (async () => {
    for await (const message of messages) {
      seen.push({
        subject: message.subject,
        messageId: message.headers?.get('Nats-Msg-Id') ?? '',
        body: message.json(),
      });
    }
  })();
  return { [Symbol.asyncDispose]: () => connection.close() };
}

/** Topics of the events whose payload names `id`, in the order of the stream. */
const topicsOf = (seen: Seen[], id: string) =>
  seen
    .filter(({ body }) => [body.data.id, body.data.container_id, body.data.key].includes(id))
    .map(({ body }) => body.topic);

const LIFE = [
  '/containers/create',
  '/containers/delete',
  '/snapshot/prepare',
  '/snapshot/remove',
  '/tasks/create',
  '/tasks/delete',
  '/tasks/exit',
  '/tasks/start',
];

describe('the stream', () => {
  it('has every event of a run once, from outboxes and spool, with its id as message id', async () => {
    const seen: Seen[] = [];
    await using _subscription = await subscribe(seen);
    await stack.ctr.ok(['run', '--rm', busybox, 'streamed', 'true']);
    await waitUntil(() => topicsOf(seen, 'streamed').length >= LIFE.length);
    expect(topicsOf(seen, 'streamed').sort()).toEqual(LIFE);
    expect(new Set(seen.map(({ messageId }) => messageId)).size).toBe(seen.length);
    for (const { subject, messageId, body } of seen) {
      expect(subject).toMatch(/^longshore\.events\.(default|_)\.[^.]+\.[a-z-]+\.[a-z-]+$/);
      expect(body).toMatchObject({ specversion: '1.0', id: messageId });
    }
  });

  it('gets what happened while NATS was away, once and in order', async () => {
    await stack.killNats();
    await stack.ctr.ok(['run', '--rm', busybox, 'unheard', 'true']);
    await stack.restartNats();

    const seen: Seen[] = [];
    await using _subscription = await subscribe(seen);
    await waitUntil(() => topicsOf(seen, 'unheard').length >= LIFE.length, 30_000);
    const topics = topicsOf(seen, 'unheard');
    expect([...topics].sort()).toEqual(LIFE);
    expect(topics.filter((topic) => topic.startsWith('/tasks/'))).toEqual([
      '/tasks/create',
      '/tasks/start',
      '/tasks/exit',
      '/tasks/delete',
    ]);
    expect(topics.filter((topic) => topic.startsWith('/containers/'))).toEqual([
      '/containers/create',
      '/containers/delete',
    ]);
  });
});
