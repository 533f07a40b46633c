import { type ConfigOf, GrpcServer, type RunningService, type ServiceContext } from '@longshore/kit';
import { migrate, openPool } from '@longshore/postgres';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { keys } from './config.ts';
import { containersRpc } from './rpc/containers-rpc.ts';
import { nodesRpc } from './rpc/nodes-rpc.ts';
import { ContainerRepository } from './storage/postgres/container-repository.ts';
import { NodeRepository } from './storage/postgres/node-repository.ts';

const SCHEMA = 'runtime';
const MIGRATIONS = new URL('./storage/postgres/migrations/', import.meta.url);

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await migrate({ url: config.databaseUrl, schema: SCHEMA, directory: MIGRATIONS });
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });

  const server = new GrpcServer(log, metrics);
  server.add(Containers, containersRpc(new ContainerRepository(pool)));
  server.add(NodeService, nodesRpc(new NodeRepository(pool)));

  return {
    addresses: { grpc: await server.listen(config.listen, config) },
    isHealthy: () => server.health.serving,
    async close() {
      await server.close(config.shutdownTimeoutMs);
      await pool.end();
    },
  };
}
