import { join } from 'node:path';
import { Channel, createClient } from '@longshore/client';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  Upstream,
} from '@longshore/kit';
import { migrate } from '@longshore/postgres';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { keys } from './config.ts';
import { gatewayDoor } from './door/gateway-door.ts';
import { AdminToken } from './http/admin-token.ts';
import { createHttpApp } from './http/app.ts';
import { Backends } from './http/backends.ts';
import { closeHttp, httpTls, listenHttp } from './http/http-server.ts';
import { NodeDirectory } from './nodes/node-directory.ts';
import { VERSION } from './version.ts';

const SCHEMA = 'gateway';

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await using undo = new AsyncDisposableStack();
  await migrate({ url: config.databaseUrl, schema: SCHEMA });

  const channel = (address: string) => undo.adopt(new Channel(address, config), (opened) => opened.close());
  const upstream = (address: string) => undo.adopt(new Upstream(address, config), (opened) => opened.close());
  const runtime = channel(config.runtime);
  const directory = new NodeDirectory(createClient(NodeService, runtime), config);
  undo.defer(() => directory.close());

  const own = new GrpcServer(log, metrics);
  undo.defer(() => own.close(config.shutdownTimeoutMs));
  own.add(Version, { version: async () => VERSION });
  const ownAddress = await own.listen(`unix://${config.state}/gateway-own.sock`, config);

  const door = gatewayDoor({
    nodes: directory,
    upstreams: {
      gateway: upstream(ownAddress),
      content: upstream(config.content),
      image: upstream(config.image),
      snapshot: upstream(config.snapshot),
      runtime: upstream(config.runtime),
      events: upstream(config.events),
    },
    log,
  });
  const isHealthy = () => own.health.serving;
  const app = await createHttpApp({
    backends: new Backends(
      { content: channel(config.content), image: channel(config.image), runtime },
      directory,
    ),
    token: AdminToken.load(join(config.root, 'gateway.token')),
    isHealthy,
    tls: httpTls(config.httpListen, config),
    log,
  });

  const grpc = await door.listen(config.listen, config);
  undo.defer(() => door.close(config.shutdownTimeoutMs));
  const http = await listenHttp(app, config.httpListen);
  undo.defer(() => closeHttp(app, config.shutdownTimeoutMs));
  const closing = undo.move();
  return {
    addresses: { grpc, http },
    isHealthy,
    async close() {
      const timeoutMs = config.shutdownTimeoutMs;
      await Promise.all([own.close(timeoutMs), door.close(timeoutMs), closeHttp(app, timeoutMs)]);
      await closing.disposeAsync();
    },
  };
}
