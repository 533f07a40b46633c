import { hostname } from 'node:os';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { migrate, openPool, ScopeChanges } from '@longshore/postgres';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { keys } from './config.ts';
import { ByteRemover } from './domain/byte-remover.ts';
import { CollectionClock } from './domain/collection-clock.ts';
import { CollectionScheduler } from './domain/collection-scheduler.ts';
import { Collector } from './domain/collector.ts';
import { IngestWriters, WRITER_TIMEOUT_MS } from './domain/ingest-writers.ts';
import { contentEvents } from './events.ts';
import { blobsRpc } from './rpc/blobs-rpc.ts';
import { collectorRpc } from './rpc/collector-rpc.ts';
import { contentRpc } from './rpc/content-rpc.ts';
import { leasesRpc } from './rpc/leases-rpc.ts';
import { namespacesRpc } from './rpc/namespaces-rpc.ts';
import { DirectoryBlobStore } from './storage/directory/directory-blob-store.ts';
import { BlobRepository } from './storage/postgres/blob-repository.ts';
import { CollectionRepository } from './storage/postgres/collection-repository.ts';
import { CollectionViews } from './storage/postgres/collection-views.ts';
import { ContentRepository } from './storage/postgres/content-repository.ts';
import { ExpiryRepository } from './storage/postgres/expiry-repository.ts';
import { IngestRepository } from './storage/postgres/ingest-repository.ts';
import { LeaseRepository } from './storage/postgres/lease-repository.ts';
import { NamespaceRepository } from './storage/postgres/namespace-repository.ts';

const SCHEMA = 'content';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);
/** Every service that holds records or references: no collection without all of them. */
const COLLECTED_SCHEMAS = ['content', 'image', 'snapshot', 'runtime'];

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const changes = new ScopeChanges(pool, SCHEMA);

  const store = new DirectoryBlobStore(config.directory);
  const blobs = new BlobRepository(pool);
  const contents = new ContentRepository(pool);
  const ingests = new IngestRepository(pool, {
    instance: `${hostname()} ${config.listen}`,
    writerTimeoutMs: WRITER_TIMEOUT_MS,
    sharesNamespaces: config.sharing === 'shared',
  });
  const views = new CollectionViews(COLLECTED_SCHEMAS);

  await ingests.releaseAll();
  const writers = new IngestWriters(
    store,
    ingests,
    (ingest, received, { labels, lease }) =>
      ingests.commit(ingest, received, labels, lease, contentEvents.created),
    log,
  );
  const remover = new ByteRemover(blobs, store, config.graceMs, log);
  const collector = new Collector(
    new CollectionRepository(pool, views),
    { maxShare: config.gcMaxShare },
    (removed) => {
      if (removed.some(({ kind }) => kind === 'content' || kind === 'ingest')) remover.wake();
    },
  );
  const scheduler = new CollectionScheduler((scope) => collector.collect(scope), log);
  const clock = new CollectionClock(new ExpiryRepository(pool, views), scheduler, config.gcIntervalMs, log);

  const server = new GrpcServer(log, metrics);
  server.add(Content, contentRpc({ contents, ingests, writers, store, scheduler, remover }));
  server.add(Leases, leasesRpc(new LeaseRepository(pool), scheduler));
  server.add(Namespaces, namespacesRpc(new NamespaceRepository(pool, views)));
  server.add(BlobService, blobsRpc(contents, store));
  server.add(CollectorService, collectorRpc(scheduler));
  server.add(WatchService, watchRpc(changes, server.stopping));

  const grpc = await server.listen(config.listen, config);
  clock.start();
  remover.start();

  return {
    addresses: { grpc },
    isHealthy: () => server.health.serving,
    async close() {
      clock.close();
      await server.close(config.shutdownTimeoutMs);
      await writers.close();
      await scheduler.close();
      await remover.close();
      changes.close();
      await pool.end();
    },
  };
}
