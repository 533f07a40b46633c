import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, loadConfig, type RunningService } from '@longshore/kit';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { ContentServer } from './content-server.ts';

/** The service on a database of its own, reached over its socket. */
export class ImageFixture {
  readonly images: ServiceClient<typeof Images>;
  readonly channel: Channel;
  /** Sees the tables of the schema `image`. */
  readonly pool: Pool;
  readonly content: ContentServer;
  readonly #directory: string;
  readonly #database: TestDatabase;
  readonly #service: RunningService;

  private constructor(
    directory: string,
    database: TestDatabase,
    content: ContentServer,
    service: RunningService,
  ) {
    this.#directory = directory;
    this.#database = database;
    this.content = content;
    this.#service = service;
    this.channel = new Channel(service.addresses.grpc ?? '');
    this.images = createClient(Images, this.channel);
    this.pool = openPool({ url: database.url, schema: 'image', size: 2 });
  }

  static async start(): Promise<ImageFixture> {
    const directory = mkdtempSync(join(tmpdir(), 'longshore-image-'));
    const database = await createTestDatabase();
    const content = new ContentServer();
    await content.listen(`unix://${directory}/content.sock`);
    const config = loadConfig(keys, { DATABASE_URL: database.url, LONGSHORE_STATE: directory }, undefined);
    const service = await start(config, {
      log: createLogger('image', 'silent'),
      metrics: createMetrics('image'),
      env: {},
      stop: () => undefined,
    });
    return new ImageFixture(directory, database, content, service);
  }

  /** Topics of the events recorded about a name, in order. */
  async topics(name: string): Promise<string[]> {
    const { rows } = await this.pool.query('SELECT topic FROM outbox WHERE subject = $1 ORDER BY seq', [
      name,
    ]);
    return rows.map(({ topic }) => topic);
  }

  async close(): Promise<void> {
    this.channel.close();
    await this.#service.close();
    await this.content.close();
    await this.pool.end();
    await this.#database.drop();
    rmSync(this.#directory, { recursive: true });
  }
}
