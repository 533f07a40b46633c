import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, loadConfig, type RunningService } from '@longshore/kit';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import { Channel } from '@longshore/rpc';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { StandIn } from './stand-in.ts';

const BACKENDS = ['content', 'image', 'snapshot', 'runtime', 'events'] as const;

/** The gateway between real servers that stand in for the services and for the agent of node `n1`. */
export class GatewayFixture {
  readonly directory: string;
  readonly database: TestDatabase;
  readonly backends: Record<(typeof BACKENDS)[number] | 'agent', StandIn>;
  /** URL of the HTTP API. */
  readonly http: string;
  readonly token: string;
  readonly #service: RunningService;
  readonly #channels: Channel[] = [];
  readonly #nodes: StandIn[] = [];

  private constructor(
    directory: string,
    database: TestDatabase,
    backends: GatewayFixture['backends'],
    service: RunningService,
  ) {
    this.directory = directory;
    this.database = database;
    this.backends = backends;
    this.#service = service;
    this.http = service.addresses.http ?? '';
    this.token = readFileSync(join(directory, 'root/gateway.token'), 'utf8').trim();
  }

  /** `more` are further variables of the gateway. */
  static async start(more: NodeJS.ProcessEnv = {}): Promise<GatewayFixture> {
    const directory = mkdtempSync(join(tmpdir(), 'longshore-gateway-'));
    const database = await createTestDatabase();
    const names = [...BACKENDS, 'agent'] as const;
    const backends = Object.fromEntries(
      names.map((name) => [name, new StandIn(name)]),
    ) as GatewayFixture['backends'];
    for (const name of names) await backends[name].listen(`unix://${directory}/${name}.sock`);
    backends.runtime.registry.nodes.set('n1', `unix://${directory}/agent.sock`);
    const env = {
      LONGSHORE_STATE: directory,
      LONGSHORE_ROOT: join(directory, 'root'),
      DATABASE_URL: database.url,
      ...more,
    };
    const service = await start(loadConfig(keys, env, undefined), {
      log: createLogger('gateway', 'silent'),
      metrics: createMetrics('gateway'),
      env: {},
      stop: () => undefined,
    });
    return new GatewayFixture(directory, database, backends, service);
  }

  /** Another node, for `close` to end. The gateway hears of it within two seconds, at once when it has listed none yet. */
  async addNode(id: string): Promise<StandIn> {
    const agent = new StandIn(id);
    this.#nodes.push(agent);
    this.backends.runtime.registry.nodes.set(id, await agent.listen(`unix://${this.directory}/${id}.sock`));
    return agent;
  }

  /** The gRPC door. */
  get grpc(): string {
    return this.#service.addresses.grpc ?? '';
  }

  /** A connection to the gRPC door. */
  connect(): Channel {
    const channel = new Channel(this.grpc);
    this.#channels.push(channel);
    return channel;
  }

  /** What the servers saw since the last question, of containerd's API only. */
  takeSeen() {
    const all = Object.values(this.backends).flatMap((backend) => backend.seen.splice(0));
    return all.filter(({ at }) => !at.includes('NodeService'));
  }

  get(path: string, token: string | null = this.token): Promise<Response> {
    return fetch(
      `${this.http}${path}`,
      token === null ? {} : { headers: { authorization: `Bearer ${token}` } },
    );
  }

  /** With the token, and with `body` as JSON. */
  send(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${this.http}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  /** Gives a role at the fleet's edge. */
  async bind(subject: string, role = 'admin', namespace = '*'): Promise<void> {
    const { status } = await this.send('POST', '/v1/bindings', { subject, role, namespace });
    if (status !== 200) throw new Error(`binding of ${subject}: ${status}`);
  }

  async close(): Promise<void> {
    for (const channel of this.#channels) channel.close();
    await this.#service.close();
    await Promise.all([...Object.values(this.backends), ...this.#nodes].map((each) => each.close()));
    await this.database.drop();
    rmSync(this.directory, { recursive: true });
  }
}
