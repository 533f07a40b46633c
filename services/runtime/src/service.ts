import { Channel, Collector } from '@longshore/client';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { migrate, openPool, ScopeChanges } from '@longshore/postgres';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { keys } from './config.ts';
import { containersRpc } from './rpc/containers-rpc.ts';
import { nodesRpc } from './rpc/nodes-rpc.ts';
import { sandboxesRpc } from './rpc/sandboxes-rpc.ts';
import { ContainerRepository } from './storage/postgres/container-repository.ts';
import { NodeRepository } from './storage/postgres/node-repository.ts';
import { SandboxRepository } from './storage/postgres/sandbox-repository.ts';

const SCHEMA = 'runtime';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const changes = new ScopeChanges(pool, SCHEMA);

  const content = new Channel(config.content, config);
  const collector = new Collector(content, log);

  const server = new GrpcServer(log, metrics);
  server.add(Containers, containersRpc(new ContainerRepository(pool), collector));
  server.add(Store, sandboxesRpc(new SandboxRepository(pool), collector));
  server.add(NodeService, nodesRpc(new NodeRepository(pool)));
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
