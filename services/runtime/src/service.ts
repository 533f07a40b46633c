import {
  type ConfigOf,
  GrpcServer,
  Revocations,
  type RunningService,
  type ServiceContext,
  watchRpc,
} from '@longshore/kit';
import { openPool, pingDatabase, RecordWatch } from '@longshore/postgres';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, Collector } from '@longshore/rpc';
import { Issuer } from './authority/issuer.ts';
import { OwnCertificate } from './authority/own-certificate.ts';
import type { keys } from './config.ts';
import { prepareDatabase, SCHEMA } from './database.ts';
import { startFleet } from './fleet.ts';
import { containersRpc } from './rpc/containers-rpc.ts';
import { runtimeSources } from './rpc/records.ts';
import { sandboxesRpc } from './rpc/sandboxes-rpc.ts';
import { CertificateRepository } from './storage/postgres/certificate-repository.ts';
import { ContainerRepository } from './storage/postgres/container-repository.ts';
import { SandboxRepository } from './storage/postgres/sandbox-repository.ts';

export async function start(
  config: ConfigOf<typeof keys>,
  { log, metrics }: ServiceContext,
): Promise<RunningService> {
  await prepareDatabase(config.databaseUrl);
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: config.databasePoolSize });
  const records = new RecordWatch(pool, {
    schema: SCHEMA,
    sources: runtimeSources,
    retentionMs: config.watchRetentionMs,
    log,
  });

  const certificates = new CertificateRepository(pool);
  const issuer = await Issuer.open(config.caDir, certificates, config);
  const own = await OwnCertificate.open(`${config.state}/runtime-tls`, issuer, log);
  const tls = config.tlsCert || config.tlsKey || config.tlsCa ? config : own.files;
  const revocations = new Revocations();

  const content = new Channel(config.content, tls, { expect: 'service/content', revocations, log });
  const collector = new Collector(content, log);

  const server = new GrpcServer(log, metrics, { revocations });
  const containers = new ContainerRepository(pool);
  server.add(Containers, containersRpc(containers, collector));
  server.add(Store, sandboxesRpc(new SandboxRepository(pool), collector));
  server.add(WatchService, watchRpc(records, server.stopping));

  const fleet = await startFleet({
    config,
    pool,
    content,
    collector,
    containers,
    certificates,
    issuer,
    own,
    revocations,
    server,
    log,
    metrics,
  });

  const grpc = await server.listen(config.listen, tls);
  return {
    addresses: { grpc, ...(fleet.joinAddress && { join: fleet.joinAddress }) },
    isHealthy: () => server.health.serving,
    checks: { database: () => pingDatabase(config.databaseUrl) },
    async close() {
      await Promise.all([server.close(config.shutdownTimeoutMs), fleet.close()]);
      own.close();
      content.close();
      records.close();
      await pool.end();
    },
  };
}
