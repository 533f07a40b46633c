import { Channel, Collector, createClient } from '@longshore/client';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { migrate, openPool, ScopeChanges } from '@longshore/postgres';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { keys } from './config.ts';
import { imagesRpc } from './rpc/images-rpc.ts';
import { ImageRepository } from './storage/postgres/image-repository.ts';

const SCHEMA = 'image';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const changes = new ScopeChanges(pool, SCHEMA);
  const content = new Channel(config.content, config);

  const server = new GrpcServer(log, metrics);
  server.add(
    Images,
    imagesRpc({
      images: new ImageRepository(pool),
      leases: createClient(Leases, content),
      collector: new Collector(content, log),
    }),
  );
  // Nothing is transferred at the fleet's edge yet.
  server.add(Transfer, {});
  server.add(Streaming, {});
  server.add(WatchService, watchRpc(changes, server.stopping));

  return {
    addresses: { grpc: await server.listen(config.listen, config) },
    isHealthy: () => server.health.serving,
    async close() {
      await server.close(config.shutdownTimeoutMs);
      content.close();
      changes.close();
      await pool.end();
    },
  };
}
