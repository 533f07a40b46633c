import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, loadConfig } from '@longshore/kit';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { TestStream } from './stream.ts';

/** The service with a database and a NATS server of its own, reached over its socket. */
export interface ServiceUnderTest extends AsyncDisposable {
  events: ServiceClient<typeof Events>;
  /** Our own API of the same. */
  own: ServiceClient<typeof EventService>;
  spool: ServiceClient<typeof SpoolService>;
  stream: TestStream;
}

export async function startEventsService(dedupWindowMs = 120_000): Promise<ServiceUnderTest> {
  const state = await mkdtemp(join(tmpdir(), 'longshore-events-'));
  const database = await createTestDatabase();
  const stream = await TestStream.start(dedupWindowMs);
  const env = {
    DATABASE_URL: database.url,
    LONGSHORE_STATE: state,
    NATS_URL: stream.server.url,
    LONGSHORE_EVENTS_DEDUP_WINDOW_MS: String(dedupWindowMs),
    LONGSHORE_EVENTS_MAX_AGE_MS: '3600000',
  };
  const service = await start(loadConfig(keys, env, undefined), {
    log: createLogger('events', 'silent'),
    metrics: createMetrics('events'),
    stop: () => undefined,
    env,
  });
  const channel = new Channel(service.addresses.grpc!);
  return {
    events: createClient(Events, channel),
    own: createClient(EventService, channel),
    spool: createClient(SpoolService, channel),
    stream,
    async [Symbol.asyncDispose]() {
      channel.close();
      await service.close();
      await stream.close();
      await database.drop();
      await rm(state, { recursive: true });
    },
  };
}
