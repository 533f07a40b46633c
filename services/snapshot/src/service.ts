import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { migrate, openPool, pingDatabase, RecordWatch } from '@longshore/postgres';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, Collector, createClient, followRevocations } from '@longshore/rpc';
import type { keys } from './config.ts';
import { Catalogue } from './domain/catalogue.ts';
import { catalogueRpc } from './rpc/catalogue-rpc.ts';
import { snapshotSources } from './rpc/records.ts';
import { snapshotsRpc } from './rpc/snapshots-rpc.ts';
import { SnapshotRepository } from './storage/postgres/snapshot-repository.ts';
import { TombstoneRepository } from './storage/postgres/tombstone-repository.ts';

const SCHEMA = 'snapshot';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const records = new RecordWatch(pool, {
    schema: SCHEMA,
    sources: snapshotSources,
    retentionMs: config.watchRetentionMs,
    log,
  });
  const { revocations, ...followed } = followRevocations(config, SCHEMA, log);
  const content = new Channel(config.content, config, { expect: 'service/content', revocations, log });
  const snapshots = new SnapshotRepository(pool);

  const server = new GrpcServer(log, metrics, { revocations });
  server.add(
    CatalogueService,
    catalogueRpc({
      catalogue: new Catalogue(snapshots),
      snapshots,
      tombstones: new TombstoneRepository(pool),
      leases: createClient(Leases, content),
      collector: new Collector(content, log),
    }),
  );
  server.add(Snapshots, snapshotsRpc(snapshots));
  server.add(WatchService, watchRpc(records, server.stopping));

  return {
    addresses: { grpc: await server.listen(config.listen, config) },
    isHealthy: () => server.health.serving,
    checks: { database: () => pingDatabase(config.databaseUrl) },
    async close() {
      await server.close(config.shutdownTimeoutMs);
      content.close();
      await followed.close();
      records.close();
      await pool.end();
    },
  };
}
