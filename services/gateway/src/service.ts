import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  Upstream,
} from '@longshore/kit';
import { openPool, pingDatabase } from '@longshore/postgres';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { AccessService } from '@longshore/proto/longshore/access/v1/access';
import { AuditService } from '@longshore/proto/longshore/audit/v1/audit';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient, watchRevocations } from '@longshore/rpc';
import { Revocations } from '@longshore/transport';
import { AccessAdmin } from './access/access-admin.ts';
import { AccessControl } from './access/access-control.ts';
import { AccessDirectory } from './access/access-directory.ts';
import { AdminToken } from './access/admin-token.ts';
import { EntryGuard } from './access/host/entry-guard.ts';
import { type OidcOptions, OidcVerifier } from './access/oidc-verifier.ts';
import { StreamJudge } from './access/stream-judge.ts';
import { cutConnection } from './audit/grpc-refusal.ts';
import { auditMetrics, showWaiting } from './audit/metrics.ts';
import { StoredAuditLog } from './audit/stored-audit-log.ts';
import type { keys } from './config.ts';
import { prepareDatabase, SCHEMA } from './database.ts';
import { Destination } from './door/destination.ts';
import { gatewayDoor } from './door/gateway-door.ts';
import type { Backend } from './door/owners.ts';
import { ContainerDeletion } from './fleet/delete-container.ts';
import { FanOut } from './fleet/fan-out.ts';
import { FleetLists } from './fleet/lists.ts';
import { createHttpApp } from './http/app.ts';
import { Backends } from './http/backends.ts';
import { ClientCertificates } from './http/client-certificates.ts';
import { closeHttp, httpTls, keepHttpFresh, listenHttp } from './http/http-server.ts';
import { GatewayLimits } from './limits/gateway-limits.ts';
import { limitMetrics } from './limits/metrics.ts';
import { NodeDirectory } from './nodes/node-directory.ts';
import { nodesOfMatches } from './nodes/nodes-of-matches.ts';
import { accessRpc } from './rpc/access-rpc.ts';
import { auditRpc } from './rpc/audit-rpc.ts';
import { containersRpc } from './rpc/containers-rpc.ts';
import { eventsRpc } from './rpc/events-rpc.ts';
import { sandboxesRpc } from './rpc/sandboxes-rpc.ts';
import { snapshotsRpc } from './rpc/snapshots-rpc.ts';
import { tasksRpc } from './rpc/tasks-rpc.ts';
import { AccessRepository } from './storage/postgres/access-repository.ts';
import { AuditRepository } from './storage/postgres/audit-repository.ts';
import { IdempotencyRepository } from './storage/postgres/idempotency-repository.ts';
import { VERSION } from './version.ts';

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await using undo = new AsyncDisposableStack();
  await prepareDatabase(config.databaseUrl);
  const pool = openPool({
    url: config.databaseUrl,
    schema: SCHEMA,
    size: config.databasePoolSize,
    plansOnce: true,
  });
  undo.defer(() => pool.end());
  const auditRepository = new AuditRepository(pool);
  const audit = undo.adopt(
    await StoredAuditLog.open({
      repository: auditRepository,
      retentionMs: config.auditRetentionMs,
      metrics: auditMetrics(metrics),
      log,
    }),
    (opened) => opened.close(),
  );
  showWaiting(metrics, () => audit.waiting);
  const limits = new GatewayLimits(config, {
    metrics: limitMetrics(metrics),
    onCut: (reason, address) => audit.refused(cutConnection(reason, address)),
    log,
  });
  undo.defer(() => limits.close());

  const revocations = new Revocations();
  const to = (name: string) => ({ expect: `service/${name}`, revocations, log });
  const channel = (name: Backend) =>
    undo.adopt(new Channel(config[name], config, to(name)), (opened) => opened.close());
  const upstream = (name: Backend) =>
    undo.adopt(new Upstream(config[name], config, to(name)), (opened) => opened.close());
  const runtime = channel('runtime');
  if (config.tlsCa) {
    const file = join(config.root, 'gateway.revocations');
    mkdirSync(config.root, { recursive: true, mode: 0o711 });
    undo.use(watchRevocations(runtime, revocations, log, { file }));
  }
  const directory = new NodeDirectory(createClient(NodeService, runtime), config, { revocations, log });
  undo.defer(() => directory.close());
  const containers = createClient(ContainerService, runtime);
  const timeoutMs = config.nodeTimeoutMs;
  const fanOut = new FanOut({ nodes: directory, timeoutMs, log });
  const lists = new FleetLists(fanOut, nodesOfMatches(containers, log));
  const deletion = new ContainerDeletion({ nodes: directory, containers, timeoutMs, log });

  const repository = new AccessRepository(pool);
  const accessDirectory = await AccessDirectory.open({ repository, maxAgeMs: config.accessMaxAgeMs, log });
  undo.defer(() => accessDirectory.close());
  const adminToken = AdminToken.load(join(config.root, 'gateway.token'));
  const oidc = config.oidcIssuer === '' ? undefined : await OidcVerifier.open(oidcOptions(config));
  const access = new AccessControl({ adminToken, directory: accessDirectory, oidc });
  const accessAdmin = new AccessAdmin({ repository, directory: accessDirectory, access });

  const judge = new StreamJudge(access);
  const entries = new EntryGuard(access, createClient(Containers, runtime));
  undo.defer(() => judge.close());

  const own = new GrpcServer(log, metrics);
  undo.defer(() => own.close(config.shutdownTimeoutMs));
  own.add(Version, { version: async () => VERSION });
  own.add(AccessService, accessRpc(accessAdmin));
  own.add(Events, eventsRpc(createClient(EventService, channel('events')), access));
  own.add(AuditService, auditRpc(auditRepository));
  own.add(Containers, containersRpc(lists, deletion));
  own.add(Tasks, tasksRpc(lists));
  own.add(Snapshots, snapshotsRpc(lists));
  own.add(Store, sandboxesRpc(lists));
  const ownAddress = await own.listen(`unix://${config.state}/gateway-own.sock`, config);

  const upstreams = {
    gateway: undo.adopt(new Upstream(ownAddress), (opened) => opened.close()),
    content: upstream('content'),
    image: upstream('image'),
    snapshot: upstream('snapshot'),
    runtime: upstream('runtime'),
    events: upstream('events'),
  };
  const destination = new Destination({ nodes: directory, containers, upstreams });
  const door = gatewayDoor({ access, destination, audit, limits, judge, entries, revocations, log });
  const isHealthy = () => own.health.serving;
  const certificates = new ClientCertificates(revocations);
  const app = await createHttpApp({
    backends: new Backends({
      channels: {
        content: channel('content'),
        image: channel('image'),
        events: channel('events'),
        runtime,
      },
      directory,
      lists,
      deletion,
    }),
    access,
    accessAdmin,
    auditRecords: auditRepository,
    judge,
    entries,
    audit,
    limits: { gateway: limits, maxBodyBytes: config.httpBodyBytes, origins: config.httpOrigins },
    answers: new IdempotencyRepository(pool),
    isHealthy,
    pingDatabase: () => pingDatabase(config.databaseUrl),
    tls: httpTls(config.httpListen, config),
    certificates,
    log,
  });

  undo.defer(keepHttpFresh(app, config, log));
  undo.defer(certificates.watch(app));
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

function oidcOptions(config: ConfigOf<typeof keys>): OidcOptions {
  return {
    issuer: config.oidcIssuer,
    audience: config.oidcAudience,
    jwksUrl: config.oidcJwksUrl,
    algorithms: config.oidcAlgorithms,
    groupsClaim: config.oidcGroupsClaim,
    clockToleranceMs: config.oidcClockToleranceMs,
  };
}
