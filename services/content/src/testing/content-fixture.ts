import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import { createLogger, createMetrics, loadConfig, type RunningService } from '@longshore/kit';
import { type Digest, digestOf } from '@longshore/oci';
import { openPool, type Pool } from '@longshore/postgres';
import { createTestDatabase, type TestDatabase } from '@longshore/postgres/testing';
import {
  Content,
  WriteAction,
  type WriteContentRequestSchema,
  type WriteContentResponse,
} from '@longshore/proto/containerd/services/content/v1/content';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { QuotaService } from '@longshore/proto/longshore/content/v1/quotas';
import { ScrubService } from '@longshore/proto/longshore/content/v1/scrub';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { type CallOptions, Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { vi } from 'vitest';
import { keys } from '../config.ts';
import { start } from '../service.ts';
import { createNeighbours } from './neighbour-schemas.ts';

// Real services, databases and syncs to disk, on machines that may be busy with other test files.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

type WriteRequest = MessageInitShape<typeof WriteContentRequestSchema>;

/** Headers of a call, by what they mean. */
export interface Caller {
  namespace?: string;
  node?: string;
  lease?: string;
  /** Who called at the fleet's edge, for calls that came there. */
  edge?: string;
}

/** What is called of a running service. */
export class ContentClients {
  readonly content: ServiceClient<typeof Content>;
  readonly leases: ServiceClient<typeof Leases>;
  readonly namespaces: ServiceClient<typeof Namespaces>;
  readonly blobs: ServiceClient<typeof BlobService>;
  readonly claims: ServiceClient<typeof ClaimService>;
  readonly collector: ServiceClient<typeof CollectorService>;
  readonly quotas: ServiceClient<typeof QuotaService>;
  readonly scrub: ServiceClient<typeof ScrubService>;
  readonly watch: ServiceClient<typeof WatchService>;
  readonly channel: Channel;

  constructor(address: string) {
    this.channel = new Channel(address);
    this.content = createClient(Content, this.channel);
    this.leases = createClient(Leases, this.channel);
    this.namespaces = createClient(Namespaces, this.channel);
    this.blobs = createClient(BlobService, this.channel);
    this.claims = createClient(ClaimService, this.channel);
    this.collector = createClient(CollectorService, this.channel);
    this.quotas = createClient(QuotaService, this.channel);
    this.scrub = createClient(ScrubService, this.channel);
    this.watch = createClient(WatchService, this.channel);
  }
}

/** One more instance of the service on the same database and directory. */
export class Replica extends ContentClients implements AsyncDisposable {
  readonly #service: RunningService;

  constructor(service: RunningService) {
    super(service.addresses.grpc ?? '');
    this.#service = service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.close();
    await this.#service.close();
  }
}

/** A real service on a database and a directory of its own. Close it when the tests of the file are done. */
export class ContentFixture extends ContentClients {
  /** Sees the tables of the schema `content`, and other schemas by their names. */
  readonly pool: Pool;
  readonly directory: string;
  readonly #database: TestDatabase;
  readonly #env: NodeJS.ProcessEnv;
  #service: RunningService;

  private constructor(
    database: TestDatabase,
    directory: string,
    env: NodeJS.ProcessEnv,
    service: RunningService,
  ) {
    super(service.addresses.grpc ?? '');
    this.#database = database;
    this.directory = directory;
    this.#env = env;
    this.#service = service;
    this.pool = openPool({ url: database.url, schema: 'content', size: 2 });
  }

  /** `env` adds to or replaces configuration. */
  static async start(env: NodeJS.ProcessEnv = {}): Promise<ContentFixture> {
    const database = await createTestDatabase();
    await createNeighbours(database.url);
    const directory = await mkdtemp(join(tmpdir(), 'longshore-content-'));
    const fullEnv = {
      DATABASE_URL: database.url,
      LONGSHORE_ROOT: directory,
      LONGSHORE_STATE: directory,
      ...env,
    };
    const fixture = new ContentFixture(database, directory, fullEnv, await startService(fullEnv));
    await fixture.#firstCollection();
    return fixture;
  }

  /** A new service collects everything once; what tests make must not be in its way. */
  async #firstCollection(): Promise<void> {
    await vi.waitFor(async () => {
      const { rowCount } = await this.pool.query('SELECT FROM snapshot.snapshots');
      if (rowCount !== 0) throw new Error('the first collection is still to come');
    }, 10_000);
  }

  /** Stops the service as SIGTERM does, and starts it anew. */
  async restart(): Promise<void> {
    await this.#service.close();
    this.#service = await startService(this.#env);
  }

  /** Another instance, with a socket of its own. `env` adds to or replaces configuration. */
  async replica(env: NodeJS.ProcessEnv = {}): Promise<Replica> {
    const listen = `unix://${join(this.directory, `${randomUUID()}.sock`)}`;
    return new Replica(await startService({ ...this.#env, LONGSHORE_CONTENT_LISTEN: listen, ...env }));
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  async close(): Promise<void> {
    this.channel.close();
    await this.#service.close();
    await this.pool.end();
    await this.#database.drop();
    await rm(this.directory, { recursive: true });
  }

  /** Opens a session for lock-step writing. */
  write(caller: Caller = {}, { content }: ContentClients = this): WriteSession {
    return new WriteSession(content, callOf(caller));
  }

  /** Writes and commits a blob: on a lease that stays, unless the caller names another, or `''` for none. */
  async put(
    text: string | Buffer,
    labels: Record<string, string> = {},
    caller: Caller = {},
  ): Promise<Digest> {
    if (caller.lease === undefined)
      return this.put(text, labels, { ...caller, lease: await this.#keep(caller) });
    const data = Buffer.from(text);
    const digest = digestOf(data);
    await using session = this.write(caller);
    const total = BigInt(data.byteLength);
    const opened = await session.send({ ref: `put-${randomUUID()}`, total, expected: digest });
    if (opened.offset === 0n && total > 0n) await session.send({ action: WriteAction.WRITE, data });
    await session.send({ action: WriteAction.COMMIT, offset: total, total, expected: digest, labels });
    return digest;
  }

  async read(digest: string, caller: Caller = {}): Promise<string> {
    const chunks = [];
    for await (const { data } of this.content.read({ digest }, callOf(caller))) chunks.push(data);
    return Buffer.concat(chunks).toString();
  }

  async #keep(caller: Caller): Promise<string> {
    await this.leases.create({ id: 'keep' }, callOf(caller)).catch((error) => {
      if (!isKind(error, 'AlreadyExists')) throw error;
    });
    return 'keep';
  }
}

export function callOf({ namespace = 'default', node, lease, edge }: Caller = {}): CallOptions {
  const headers: Record<string, string> = {};
  if (namespace) headers['containerd-namespace'] = namespace;
  if (node) headers['longshore-node'] = node;
  if (lease) headers['containerd-lease'] = lease;
  if (edge) headers['longshore-caller'] = edge;
  return { headers };
}

/** One Write call: every `send` waits for its answer. */
export class WriteSession implements AsyncDisposable {
  readonly #answers: AsyncIterator<WriteContentResponse>;
  readonly #queue: WriteRequest[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(content: ServiceClient<typeof Content>, options: CallOptions) {
    this.#answers = content.write(this.#requests(), options)[Symbol.asyncIterator]();
  }

  async send(request: WriteRequest): Promise<WriteContentResponse> {
    this.#queue.push(request);
    this.#wake();
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the session has ended without an answer');
    return value;
  }

  /** Closes the sending side, and answers everything that the server still says. */
  async end(): Promise<WriteContentResponse[]> {
    this.#isOver = true;
    this.#wake();
    const rest = [];
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done) return rest;
      rest.push(value);
    }
  }

  /** Cancels the call, as a client that dies does. */
  async cancel(): Promise<void> {
    await this.#answers.return?.();
    this.#isOver = true;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => undefined);
  }

  async *#requests(): AsyncIterable<WriteRequest> {
    while (!this.#isOver || this.#queue.length > 0) {
      const next = this.#queue.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

function startService(env: NodeJS.ProcessEnv): Promise<RunningService> {
  const log = createLogger('content', 'silent');
  return start(loadConfig(keys, env, undefined), {
    log,
    metrics: createMetrics('content'),
    env,
    stop: () => undefined,
  });
}
