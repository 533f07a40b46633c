import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { migrate, openPool, pingDatabase, RecordWatch } from '@longshore/postgres';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { RegistryTransport, readCaFile } from '@longshore/registry';
import { Channel, Collector, createClient, followRevocations } from '@longshore/rpc';
import type { keys } from './config.ts';
import { installOnNodes } from './fleet/node-installer.ts';
import { NodeRegistry } from './fleet/node-registry.ts';
import { fleetRpc } from './rpc/fleet-rpc.ts';
import { imagesRpc } from './rpc/images-rpc.ts';
import { imageSources } from './rpc/records.ts';
import { ImageRepository } from './storage/postgres/image-repository.ts';

const SCHEMA = 'image';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const records = new RecordWatch(pool, {
    schema: SCHEMA,
    sources: imageSources,
    retentionMs: config.watchRetentionMs,
    log,
  });
  const { revocations, ...followed } = followRevocations(config, SCHEMA, log);
  const content = new Channel(config.content, config, { expect: 'service/content', revocations, log });
  const runtime = new Channel(config.runtime, config, { expect: 'service/runtime', revocations, log });
  const transport = new RegistryTransport({ ca: readCaFile(config.registryCa) });
  const images = new ImageRepository(pool);
  const leases = createClient(Leases, content);

  const server = new GrpcServer(log, metrics, { revocations });
  server.add(
    Images,
    imagesRpc({
      images,
      leases,
      collector: new Collector(content, log),
    }),
  );
  const fleet = {
    content: createClient(Content, content),
    blobs: createClient(BlobService, content),
    claims: createClient(ClaimService, content),
    leases,
    nodes: new NodeRegistry(createClient(NodeService, runtime)),
    install: installOnNodes(config, { revocations, log }),
    transport,
  };
  server.add(FleetService, fleetRpc(fleet, images));
  // Nothing is transferred at the fleet's edge yet but by FleetService.
  server.add(Transfer, {});
  server.add(Streaming, {});
  server.add(WatchService, watchRpc(records, server.stopping));

  return {
    addresses: { grpc: await server.listen(config.listen, config) },
    isHealthy: () => server.health.serving,
    checks: { database: () => pingDatabase(config.databaseUrl) },
    async close() {
      await server.close(config.shutdownTimeoutMs);
      await transport.close();
      content.close();
      runtime.close();
      await followed.close();
      records.close();
      await pool.end();
    },
  };
}
