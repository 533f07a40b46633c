import { messageOf } from '@longshore/errors';
import { type ConfigOf, GrpcServer, type RunningService, type ServiceContext } from '@longshore/kit';
import { ensureEventStream, NatsLink } from '@longshore/messaging';
import { instanceOf, migrate, openPool, pingDatabase } from '@longshore/postgres';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { followRevocations } from '@longshore/rpc';
import type { keys } from './config.ts';
import { createEventMetrics } from './metrics.ts';
import { Relay } from './relay/relay.ts';
import { eventRpc } from './rpc/event-rpc.ts';
import { eventsRpc } from './rpc/events-rpc.ts';
import { spoolRpc } from './rpc/spool-rpc.ts';
import { SpoolIntake } from './spool/spool-intake.ts';
import { EventRepository } from './storage/postgres/event-repository.ts';

const SCHEMA = 'events';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

type Config = ConfigOf<typeof keys>;

/** NATS may be away: the service starts, takes what clients publish, and relays once it can. */
export async function start(config: Config, { log, metrics }: ServiceContext): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({
    url: config.databaseUrl,
    schema: SCHEMA,
    size: config.databasePoolSize,
    plansOnce: true,
  });
  const eventMetrics = createEventMetrics(metrics);

  const link = new NatsLink({
    ...natsOptions(config),
    prepare: (connection) => ensureEventStream(connection, streamOptions(config)),
    onChange(error) {
      eventMetrics.connected.set(error === undefined ? 1 : 0);
      if (error === undefined) log.info('connected to NATS');
      else log.warn({ error: messageOf(error) }, 'not connected to NATS');
      relay.ring();
    },
  });
  const relay = new Relay({
    pool,
    link,
    schemas: config.relaySchemas,
    instance: instanceOf(config.listen),
    leaderTtlMs: config.relayLeaderTtlMs,
    pollMs: config.relayPollMs,
    keepMs: config.relayKeepMs,
    metrics: eventMetrics,
    log,
  });

  const { revocations, ...followed } = followRevocations(config, SCHEMA, log);
  const server = new GrpcServer(log, metrics, { revocations });
  const events = new EventRepository(pool);
  server.add(Events, eventsRpc({ events, link, metrics: eventMetrics, stopping: server.stopping }));
  server.add(EventService, eventRpc({ link, metrics: eventMetrics, stopping: server.stopping }));
  server.add(SpoolService, spoolRpc(new SpoolIntake(link, eventMetrics, config.streamDedupWindowMs)));

  const grpc = await server.listen(config.listen, config);
  relay.start();

  return {
    addresses: { grpc },
    isHealthy: () => server.health.serving,
    checks: {
      database: () => pingDatabase(config.databaseUrl),
      NATS: () => link.connectedSoon(server.stopping),
    },
    async close() {
      await server.close(config.shutdownTimeoutMs);
      await followed.close();
      await relay.close();
      await link.close();
      await pool.end();
    },
  };
}

function natsOptions(config: Config) {
  return {
    servers: config.natsServers,
    name: 'longshore-events',
    user: config.natsUser,
    password: config.natsPassword,
    credsFile: config.natsCredsFile,
    ...(config.natsCaFile ? { tls: { caFile: config.natsCaFile } } : {}),
  };
}

function streamOptions(config: Config) {
  return {
    maxAgeMs: config.streamMaxAgeMs,
    maxBytes: config.streamMaxBytes,
    replicas: config.streamReplicas,
    storage: config.streamStorage,
    dedupWindowMs: config.streamDedupWindowMs,
  };
}
