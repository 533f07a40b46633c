import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Services, startServices } from '@longshore/local';
import { openPool, type Pool } from '@longshore/postgres';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Header } from '@longshore/proto/headers';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { type Stack, startStack } from '../../harness/stack.ts';

const SERVICES = ['content', 'image', 'snapshot', 'runtime'] as const;

/** Longer than bytes without a record are taken for those of a commit that is under way. */
const AHEAD_MS = 2 * 60 * 60 * 1000;
const CLOCK = new URL('../../harness/clock-offset.mjs', import.meta.url).href;

export interface Scope {
  readonly namespace: string;
  readonly node: string;
}

/** What a blob store holds, by digests of blobs and uids of ingests. */
export interface StoredObjects {
  readonly blobs: readonly string[];
  readonly ingests: readonly string[];
}

export interface WorldOptions {
  /** Chooses a driver of the blob store. */
  env?: NodeJS.ProcessEnv;
  /** Reads the store behind the services' back. Default: the directory driver's, below the stack's root. */
  stored?: (root: string) => Promise<StoredObjects>;
}

/** Real services, with what the clients call of them. */
export class World implements AsyncDisposable {
  readonly content: ServiceClient<typeof Content>;
  readonly leases: ServiceClient<typeof Leases>;
  readonly namespaces: ServiceClient<typeof Namespaces>;
  readonly collector: ServiceClient<typeof CollectorService>;
  readonly images: ServiceClient<typeof Images>;
  readonly snapshots: ServiceClient<typeof CatalogueService>;
  readonly containers: ServiceClient<typeof Containers>;
  readonly nodes: ServiceClient<typeof NodeService>;
  readonly stack: Stack;
  readonly #channels: Record<(typeof SERVICES)[number], Channel>;
  readonly #stored: (root: string) => Promise<StoredObjects>;
  readonly #env: NodeJS.ProcessEnv;
  #later: Services | undefined;
  readonly #pool: Pool;

  private constructor(stack: Stack, env: NodeJS.ProcessEnv, { stored = storedInDirectory }: WorldOptions) {
    this.stack = stack;
    this.#stored = stored;
    this.#env = env;
    this.#pool = openPool({ url: stack.databaseUrl, schema: 'content', size: 1 });
    const open = (name: (typeof SERVICES)[number]) => new Channel(`unix://${stack.state}/${name}.sock`);
    this.#channels = {
      content: open('content'),
      image: open('image'),
      snapshot: open('snapshot'),
      runtime: open('runtime'),
    };
    this.content = createClient(Content, this.#channels.content);
    this.leases = createClient(Leases, this.#channels.content);
    this.namespaces = createClient(Namespaces, this.#channels.content);
    this.collector = createClient(CollectorService, this.#channels.content);
    this.images = createClient(Images, this.#channels.image);
    this.snapshots = createClient(CatalogueService, this.#channels.snapshot);
    this.containers = createClient(Containers, this.#channels.runtime);
    this.nodes = createClient(NodeService, this.#channels.runtime);
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const env = { LONGSHORE_CONTENT_GRACE_MS: '0', ...options.env };
    return new World(await startStack({ only: SERVICES, env }), env, options);
  }

  /** Makes a node known, so that containers can be made on it. */
  async register(id: string): Promise<void> {
    await this.nodes.register({
      node: { id, address: 'unix:///run/none.sock', hostname: id, snapshotters: ['overlayfs'] },
    });
  }

  stored(): Promise<StoredObjects> {
    return this.#stored(this.stack.root);
  }

  /**
   * Has the store looked through for what crashes and late writers have left, as it is once a day and after a start; by a clock
   * that is ahead, since such bytes must be old. The world is as good as before, but for that clock.
   */
  async buryStrays(): Promise<void> {
    const { services, root, state, databaseUrl, nats } = this.stack;
    await services.stop('content');
    const env = {
      ...this.#env,
      NODE_OPTIONS: `--import ${CLOCK}`,
      LONGSHORE_TEST_CLOCK_OFFSET_MS: String(AHEAD_MS),
    };
    this.#later = await startServices({ root, state, databaseUrl, nats, only: ['content'], env });
  }

  /** What the records say that the store should hold. */
  async recorded(): Promise<StoredObjects> {
    const { rows } = await this.#pool.query<{ digest: string | null; uid: string | null }>(
      `SELECT digest, NULL AS uid FROM contents UNION SELECT linked_digest, uid::text FROM ingests`,
    );
    return {
      blobs: [...new Set(rows.flatMap(({ digest }) => digest ?? []))],
      ingests: rows.flatMap(({ uid }) => uid ?? []),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of Object.values(this.#channels)) channel.close();
    await this.#pool.end();
    await this.#later?.close();
    await this.stack.close();
  }
}

export function headersOf({ namespace, node }: Scope, lease?: string) {
  const headers: Record<string, string> = { [Header.Namespace]: namespace, [Header.Node]: node };
  if (lease !== undefined) headers[Header.Lease] = lease;
  return { headers };
}

async function storedInDirectory(root: string): Promise<StoredObjects> {
  const directory = join(root, 'content');
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile())
    .map((file) =>
      join(file.parentPath, file.name)
        .slice(directory.length + 1)
        .split('/'),
    );
  const blobs = paths.filter(([kind]) => kind === 'blobs');
  return {
    blobs: blobs.map(([, algorithm, , hex]) => `${algorithm}:${hex}`),
    ingests: [...new Set(paths.filter(([kind]) => kind === 'ingests').map(([, uid]) => uid!))],
  };
}
