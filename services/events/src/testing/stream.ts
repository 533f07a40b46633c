import {
  ensureEventStream,
  NatsLink,
  readEvents,
  type StoredEvent,
  streamBounds,
  subjectFilter,
} from '@longshore/messaging';
import { TestNatsServer } from '@longshore/messaging/testing';

const DEADLINE_MS = 30_000;

/** A real NATS server with the stream of events, made again whenever the server comes back without it. */
export class TestStream implements AsyncDisposable {
  readonly server: TestNatsServer;
  readonly dedupWindowMs: number;

  private constructor(server: TestNatsServer, dedupWindowMs: number) {
    this.server = server;
    this.dedupWindowMs = dedupWindowMs;
  }

  static async start(dedupWindowMs = 120_000): Promise<TestStream> {
    return new TestStream(await TestNatsServer.start(), dedupWindowMs);
  }

  link(onChange?: () => void): NatsLink {
    const stream = {
      maxAgeMs: 3_600_000,
      maxBytes: 0,
      replicas: 1,
      storage: 'file' as const,
      dedupWindowMs: this.dedupWindowMs,
    };
    return new NatsLink({
      servers: [this.server.url],
      name: 'test',
      prepare: (connection) => ensureEventStream(connection, stream),
      onChange,
    });
  }

  /** Everything that the stream holds now, in its order. */
  async events(): Promise<StoredEvent[]> {
    await using link = this.link();
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const { last } = await streamBounds(await link.connected(signal));
    const events: StoredEvent[] = [];
    if (last === 0n) return events;
    for await (const stored of readEvents(link, { filter: subjectFilter(), start: 1n, signal })) {
      events.push(stored);
      if (stored.seq === last) return events;
    }
    throw new Error(`stream not read up to ${last} within ${DEADLINE_MS} ms`);
  }

  async close(): Promise<void> {
    await this.server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
