import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, loadConfig } from '@longshore/kit';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { ContentServer } from './content-server.ts';

/** The service on a database of its own, reached over its socket. */
export interface ServiceUnderTest {
  catalogue: ServiceClient<typeof CatalogueService>;
  snapshots: ServiceClient<typeof Snapshots>;
  watch: ServiceClient<typeof WatchService>;
  content: ContentServer;
  /** Sees the service's schema from outside, as the collector and the relay do. */
  database: Pool;
  close(): Promise<void>;
}

export async function startSnapshotService(): Promise<ServiceUnderTest> {
  await using undo = new AsyncDisposableStack();
  const state = await mkdtemp(join(tmpdir(), 'longshore-snapshot-'));
  undo.defer(() => rm(state, { recursive: true }));
  const testDatabase = undo.adopt(await createTestDatabase(), (made) => made.drop());
  const content = undo.adopt(await ContentServer.start(), (started) => started.close());
  const env = {
    DATABASE_URL: testDatabase.url,
    LONGSHORE_STATE: state,
    LONGSHORE_CONTENT_ADDRESS: content.address,
  };
  const context = {
    log: createLogger('snapshot', 'silent'),
    metrics: createMetrics('snapshot'),
    env,
    stop: () => undefined,
  };
  const service = await start(loadConfig(keys, env, undefined), context);
  undo.adopt(service, (started) => started.close());
  const pool = openPool({ url: testDatabase.url, schema: 'public', size: 2 });
  const database = undo.adopt(pool, (opened) => opened.end());
  const channel = undo.adopt(new Channel(service.addresses.grpc!), (opened) => opened.close());
  const owned = undo.move();
  return {
    catalogue: createClient(CatalogueService, channel),
    snapshots: createClient(Snapshots, channel),
    watch: createClient(WatchService, channel),
    content,
    database,
    close: () => owned.disposeAsync(),
  };
}
