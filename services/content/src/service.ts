import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { instanceOf, Leadership, migrate, openPool, pingDatabase, RecordWatch } from '@longshore/postgres';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { QuotaService } from '@longshore/proto/longshore/content/v1/quotas';
import { ScrubService } from '@longshore/proto/longshore/content/v1/scrub';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { followRevocations } from '@longshore/rpc';
import { collectionMetrics } from './collection-metrics.ts';
import type { keys } from './config.ts';
import { BlobHealth } from './domain/blob-health.ts';
import { ByteRemover } from './domain/byte-remover.ts';
import { Claims } from './domain/claims.ts';
import type { Removed } from './domain/collection.ts';
import { CollectionClock } from './domain/collection-clock.ts';
import { CollectionScheduler } from './domain/collection-scheduler.ts';
import { Collector } from './domain/collector.ts';
import { IngestWriters, WRITER_TIMEOUT_MS } from './domain/ingest-writers.ts';
import { forgetNode } from './domain/node-removal.ts';
import { Pace } from './domain/pace.ts';
import { Places } from './domain/places.ts';
import { repeat } from './domain/repeat.ts';
import { Scrubber } from './domain/scrubber.ts';
import { SignedPaths } from './domain/signed-paths.ts';
import { VerifiedReads } from './domain/verified-reads.ts';
import { contentEvents } from './events.ts';
import { BlobEndpoint } from './http/blob-endpoint.ts';
import { contentMetrics } from './metrics.ts';
import { blobsRpc } from './rpc/blobs-rpc.ts';
import { claimsRpc } from './rpc/claims-rpc.ts';
import { collectorRpc } from './rpc/collector-rpc.ts';
import { contentRpc } from './rpc/content-rpc.ts';
import { leasesRpc } from './rpc/leases-rpc.ts';
import { namespacesRpc } from './rpc/namespaces-rpc.ts';
import { quotasRpc } from './rpc/quotas-rpc.ts';
import { contentSources } from './rpc/records.ts';
import { scrubRpc } from './rpc/scrub-rpc.ts';
import { openBlobStore } from './storage/open-blob-store.ts';
import { BlobRepository } from './storage/postgres/blob-repository.ts';
import { PostgresClaimNews } from './storage/postgres/claim-news.ts';
import { ClaimRepository } from './storage/postgres/claim-repository.ts';
import { PostgresCollectionMemory } from './storage/postgres/collection-memory.ts';
import { CollectionReportRepository } from './storage/postgres/collection-report-repository.ts';
import { CollectionRepository } from './storage/postgres/collection-repository.ts';
import { CollectionViews } from './storage/postgres/collection-views.ts';
import { ContentRepository } from './storage/postgres/content-repository.ts';
import { ExpiryRepository } from './storage/postgres/expiry-repository.ts';
import { HealthRepository } from './storage/postgres/health-repository.ts';
import { IngestRepository } from './storage/postgres/ingest-repository.ts';
import { LeaseRepository } from './storage/postgres/lease-repository.ts';
import { LinkRepository } from './storage/postgres/link-repository.ts';
import { NamespaceRepository } from './storage/postgres/namespace-repository.ts';
import { NodeRecordsRepository } from './storage/postgres/node-records-repository.ts';
import { QuotaRepository } from './storage/postgres/quota-repository.ts';
import { SigningKeyRepository } from './storage/postgres/signing-key-repository.ts';

const SCHEMA = 'content';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);
/** Every service that holds records or references: no collection without all of them. */
const COLLECTED_SCHEMAS = ['content', 'image', 'snapshot', 'runtime'];
/** Claims of holders that were lost take little room, and are taken over without being purged. */
const CLAIM_PURGE_INTERVAL_MS = 10 * 60 * 1000;
/** Bytes that were only out of sight, as with a file system that was not mounted, are seen again so soon. */
const QUARANTINE_RECHECK_MS = 60 * 60 * 1000;

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  const { store, ...opened } = await openBlobStore(config);
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const records = new RecordWatch(pool, {
    schema: SCHEMA,
    sources: contentSources,
    retentionMs: config.watchRetentionMs,
    log,
  });

  const blobs = new BlobRepository(pool);
  const contents = new ContentRepository(pool);
  const sharesNamespaces = config.sharing === 'shared';
  const instance = instanceOf(config.listen);
  const ingests = new IngestRepository(pool, {
    instance: instance.name,
    writerTimeoutMs: WRITER_TIMEOUT_MS,
    sharesNamespaces,
  });
  const views = new CollectionViews(COLLECTED_SCHEMAS);

  const writers = new IngestWriters(
    store,
    ingests,
    (ingest, received, { labels, lease }) =>
      ingests.commit(ingest, received, labels, lease, contentEvents.created),
    log,
  );
  const paths = new SignedPaths(new SigningKeyRepository(pool), config.locateMs);
  const endpoint = config.blobsListen
    ? await BlobEndpoint.listen(config.blobsListen, config, store, paths, log)
    : undefined;
  const bases = config.blobsUrls.length > 0 ? config.blobsUrls : (endpoint?.bases ?? []);
  const places = new Places(store, paths, { lifetimeMs: config.locateMs, bases });

  const healthRecords = new HealthRepository(pool);
  const { health: healthMeter } = contentMetrics(metrics, () => healthRecords.health());
  const health = new BlobHealth(store, healthRecords, healthMeter, log);
  const reads = new VerifiedReads(health, {
    isOn: config.verifyReads === 'full',
    windowMs: config.verifyWindowMs,
  });
  const scrubber = new Scrubber(
    healthRecords,
    health,
    new Pace(config.scrubBytesPerSecond),
    { roundMs: config.scrubRoundMs, recheckMs: Math.min(config.scrubRoundMs, QUARANTINE_RECHECK_MS) },
    log,
  );
  const quotas = new QuotaRepository(pool);
  await quotas.setDefaults({ storedBytes: config.quotaBytes, openIngests: config.quotaIngests });

  const graceMs =
    opened.givesUrls || bases.length > 0 ? Math.max(config.graceMs, config.locateMs) : config.graceMs;
  const remover = new ByteRemover(blobs, store, graceMs, log);
  const onRemoved = (removed: readonly Removed[]) => {
    if (removed.some(({ kind }) => kind === 'content' || kind === 'ingest')) remover.wake();
  };
  const collections = collectionMetrics(metrics);
  const collection = new CollectionRepository(pool, views);
  const memory = new PostgresCollectionMemory(pool);
  const collector = new Collector(
    collection,
    memory,
    { maxShare: config.gcMaxShare },
    {
      onRemoved: (removed) => {
        onRemoved(removed);
        collections.removed(removed);
      },
      onEnd: collections.ended,
    },
  );
  const scheduler = new CollectionScheduler((scope, options) => collector.collect(scope, options), log);
  const clock = new CollectionClock(new ExpiryRepository(pool, views), scheduler, config.gcIntervalMs, log);
  const leadership = new Leadership(pool, {
    holder: instance.name,
    predecessors: instance.predecessors,
    onError: (error, name) => log.warn({ err: error, name }, 'leading failed; will try again'),
  });

  const claimRecords = new ClaimRepository(pool, { ttlMs: config.claimTtlMs, sharesNamespaces });
  const claimNews = new PostgresClaimNews(pool, SCHEMA);
  const nodeRecords = new NodeRecordsRepository(pool, views, collection);

  const { revocations, ...followed } = followRevocations(config, SCHEMA, log);
  const server = new GrpcServer(log, metrics, { revocations });
  server.add(
    Content,
    contentRpc({ contents, ingests, writers, store, health, reads, quotas, scheduler, remover }),
  );
  server.add(Leases, leasesRpc(new LeaseRepository(pool), scheduler));
  server.add(Namespaces, namespacesRpc(new NamespaceRepository(pool, views)));
  server.add(
    BlobService,
    blobsRpc({
      contents,
      links: new LinkRepository(pool, sharesNamespaces),
      places,
      health,
      scheduler,
      forgetNode: (node) => forgetNode(node, nodeRecords, onRemoved),
    }),
  );
  server.add(ClaimService, claimsRpc(new Claims(claimRecords, claimNews), claimRecords, server.stopping));
  server.add(ScrubService, scrubRpc(health, healthRecords));
  server.add(QuotaService, quotasRpc(quotas));
  const reports = new CollectionReportRepository(pool, views);
  server.add(CollectorService, collectorRpc({ scheduler, collector, reports, graceMs }));
  server.add(WatchService, watchRpc(records, server.stopping));

  const grpc = await server.listen(config.listen, config);
  // It listens, so whoever had the address before does not any more.
  if (instance.predecessors !== undefined) await ingests.releaseOf(instance.predecessors);
  if (config.scrubBytesPerSecond > 0) leadership.runWhileLeading('scrub', (term) => scrubber.run(term));
  leadership.runWhileLeading('collection', async (term) => {
    await Promise.all([
      clock.run(term),
      remover.run(term),
      repeat(CLAIM_PURGE_INTERVAL_MS, term.signal, () => claimRecords.purge(term), log),
    ]);
  });

  return {
    addresses: endpoint ? { grpc, blobs: endpoint.address } : { grpc },
    isHealthy: () => server.health.serving,
    checks: { database: () => pingDatabase(config.databaseUrl) },
    async close() {
      await leadership.close();
      await Promise.all([endpoint?.close(config.shutdownTimeoutMs), server.close(config.shutdownTimeoutMs)]);
      await followed.close();
      await writers.close();
      await scheduler.close();
      claimNews.close();
      records.close();
      opened.close();
      await pool.end();
    },
  };
}
