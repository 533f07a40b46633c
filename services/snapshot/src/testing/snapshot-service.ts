import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Channel, createClient, type ServiceClient } from '@longshore/client';
import { createLogger, createMetrics, loadConfig } from '@longshore/kit';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase } from '@longshore/postgres/testing';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { ContentServer } from './content-server.ts';

/** The service on a database of its own, reached over its socket. */
export interface ServiceUnderTest {
  catalogue: ServiceClient<typeof CatalogueService>;
  snapshots: ServiceClient<typeof Snapshots>;
  content: ContentServer;
  /** Sees the service's schema, for what only the collector and the relay look at. */
  database: Pool;
  close(): Promise<void>;
}

export async function startSnapshotService(): Promise<ServiceUnderTest> {
  const state = await mkdtemp(join(tmpdir(), 'longshore-snapshot-'));
  const testDatabase = await createTestDatabase();
  const content = await ContentServer.start();
  const env = {
    DATABASE_URL: testDatabase.url,
    LONGSHORE_STATE: state,
    LONGSHORE_CONTENT_ADDRESS: content.address,
  };
  const service = await start(loadConfig(keys, env, undefined), {
    log: createLogger('snapshot', 'silent'),
    metrics: createMetrics('snapshot'),
    stop: () => undefined,
  });
  const channel = new Channel(service.addresses.grpc!);
  const database = openPool({ url: testDatabase.url, schema: 'snapshot', size: 2 });
  return {
    catalogue: createClient(CatalogueService, channel),
    snapshots: createClient(Snapshots, channel),
    content,
    database,
    async close() {
      channel.close();
      await database.end();
      await service.close();
      await content.close();
      await testDatabase.drop();
      await rm(state, { recursive: true });
    },
  };
}
