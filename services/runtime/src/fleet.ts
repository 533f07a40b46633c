import { type ConfigOf, GrpcServer, type Logger, type Metrics } from '@longshore/kit';
import { Leadership, type Pool } from '@longshore/postgres';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { JoinService } from '@longshore/proto/longshore/runtime/v1/join';
import { NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type Channel, type Collector, createClient } from '@longshore/rpc';
import type { Revocations } from '@longshore/transport';
import type { Issuer } from './authority/issuer.ts';
import type { OwnCertificate } from './authority/own-certificate.ts';
import type { keys } from './config.ts';
import { Forgetting } from './forgetting.ts';
import { Heartbeats } from './heartbeats.ts';
import { Joining } from './joining.ts';
import { nodeEvents } from './node-events.ts';
import { Reconciler } from './reconciler.ts';
import { RevocationList } from './revocation-list.ts';
import { certificatesRpc } from './rpc/certificates-rpc.ts';
import { containerFleetRpc } from './rpc/container-fleet-rpc.ts';
import { joinRpc } from './rpc/join-rpc.ts';
import { nodeAdminRpc } from './rpc/node-admin-rpc.ts';
import { nodesRpc } from './rpc/nodes-rpc.ts';
import type { CertificateRepository } from './storage/postgres/certificate-repository.ts';
import { ContainerListing } from './storage/postgres/container-listing.ts';
import type { ContainerRepository } from './storage/postgres/container-repository.ts';
import { HeartbeatRepository } from './storage/postgres/heartbeat-repository.ts';
import { JoinTokenRepository } from './storage/postgres/join-token-repository.ts';
import { NodeRecordsRepository } from './storage/postgres/node-records-repository.ts';
import { NodeRepository } from './storage/postgres/node-repository.ts';

export interface FleetParts {
  config: ConfigOf<typeof keys>;
  pool: Pool;
  content: Channel;
  collector: Collector;
  containers: ContainerRepository;
  certificates: CertificateRepository;
  issuer: Issuer;
  own: OwnCertificate;
  /** Of this process: kept true from here on. */
  revocations: Revocations;
  server: GrpcServer;
  log: Logger;
  metrics: Metrics;
}

/** What this service does for the fleet: its nodes, their joining, their certificates. Adds its services to the server. */
export async function startFleet(parts: FleetParts) {
  const { config, pool, certificates, issuer, server, log } = parts;
  const nodes = new NodeRepository(pool, nodeEvents);
  const heartbeats = new HeartbeatRepository(pool);
  const tokens = new JoinTokenRepository(pool);
  const revocations = await RevocationList.open(certificates, parts.revocations, log);
  const join = await listenForJoins(parts, new Joining({ pool, tokens, nodes, issuer }));

  server.add(NodeService, nodesRpc(nodes, new Heartbeats(heartbeats)));
  server.add(
    NodeAdminService,
    nodeAdminRpc({
      nodes,
      tokens,
      certificates,
      rootFingerprint: issuer.authority.rootFingerprint,
      joinAddress: config.joinAddress || (join?.address ?? ''),
      onRevoked: () => void revocations.look(),
    }),
  );
  server.add(
    CertificateService,
    certificatesRpc({ pool, issuer, certificates, nodes, revocations, stopping: server.stopping }),
  );
  server.add(
    ContainerService,
    containerFleetRpc(parts.containers, new ContainerListing(parts.pool), parts.collector),
  );

  const records = new NodeRecordsRepository(pool);
  const forgetting = new Forgetting({ nodes, records, blobs: createClient(BlobService, parts.content), log });
  const reconciler = new Reconciler({
    nodes,
    heartbeats,
    certificates,
    tokens,
    forgetting,
    unreachableAfterMs: config.unreachableAfterMs,
    log,
  });
  const leadership = new Leadership(pool, {
    holder: `${config.listen} ${process.pid}`,
    onError: (err, name) => log.warn({ err, name }, 'led work failed'),
  });
  void leadership.runWhileLeading('nodes', (term, signal) => reconciler.run(term, signal));

  return {
    joinAddress: join?.address,
    async close() {
      await Promise.all([leadership.close(), join?.server.close(config.shutdownTimeoutMs)]);
      revocations.close();
    },
  };
}

async function listenForJoins({ config, issuer, own, log, metrics }: FleetParts, joining: Joining) {
  if (config.joinListen === '') return undefined;
  const server = new GrpcServer(log, metrics);
  server.add(JoinService, joinRpc(joining, issuer.authority.authorities, config.nodeAddresses));
  return { server, address: await server.listen(config.joinListen, own.joinFiles, { anyone: true }) };
}
