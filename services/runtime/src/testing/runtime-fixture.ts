import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, loadConfig, type RunningService } from '@longshore/kit';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { ContentServer } from './content-server.ts';

function startService(env: NodeJS.ProcessEnv): Promise<RunningService> {
  return start(loadConfig(keys, env, undefined), {
    log: createLogger('runtime', 'silent'),
    metrics: createMetrics('runtime'),
    env: {},
    stop: () => undefined,
  });
}

/** The service on a database of its own, reached over its socket. */
export class RuntimeFixture {
  readonly containers: ServiceClient<typeof Containers>;
  readonly sandboxes: ServiceClient<typeof Store>;
  readonly nodes: ServiceClient<typeof NodeService>;
  readonly admin: ServiceClient<typeof NodeAdminService>;
  readonly fleetContainers: ServiceClient<typeof ContainerService>;
  readonly certificates: ServiceClient<typeof CertificateService>;
  readonly watch: ServiceClient<typeof WatchService>;
  /** Sees the tables of the schema `runtime`. */
  readonly pool: Pool;
  readonly content: ContentServer;
  /** Holds the service's state directory, and its root in `root`. */
  readonly directory: string;
  readonly #database: TestDatabase;
  readonly addresses: RunningService['addresses'];
  readonly #service: RunningService;
  readonly #channel: Channel;

  private constructor(
    directory: string,
    database: TestDatabase,
    content: ContentServer,
    service: RunningService,
  ) {
    this.directory = directory;
    this.#database = database;
    this.content = content;
    this.#service = service;
    this.addresses = service.addresses;
    this.#channel = new Channel(service.addresses.grpc ?? '');
    this.containers = createClient(Containers, this.#channel);
    this.sandboxes = createClient(Store, this.#channel);
    this.nodes = createClient(NodeService, this.#channel);
    this.admin = createClient(NodeAdminService, this.#channel);
    this.fleetContainers = createClient(ContainerService, this.#channel);
    this.certificates = createClient(CertificateService, this.#channel);
    this.watch = createClient(WatchService, this.#channel);
    this.pool = openPool({ url: database.url, schema: 'runtime', size: 2 });
  }

  /** `env` adds to the configuration. */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<RuntimeFixture> {
    const directory = mkdtempSync(join(tmpdir(), 'longshore-runtime-'));
    const database = await createTestDatabase();
    const content = new ContentServer();
    await content.listen(`unix://${directory}/content.sock`);
    const service = await startService({
      DATABASE_URL: database.url,
      LONGSHORE_STATE: directory,
      LONGSHORE_ROOT: `${directory}/root`,
      ...env,
    });
    return new RuntimeFixture(directory, database, content, service);
  }

  /** Topics of the events recorded about a subject, in order. */
  async topics(subject: string): Promise<string[]> {
    const { rows } = await this.pool.query('SELECT topic FROM outbox WHERE subject = $1 ORDER BY seq', [
      subject,
    ]);
    return rows.map(({ topic }) => topic);
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#service.close();
    await this.content.close();
    await this.pool.end();
    await this.#database.drop();
    rmSync(this.directory, { recursive: true });
  }
}
