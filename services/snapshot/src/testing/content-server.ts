import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { notFound } from '@longshore/errors';
import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

const NO_TLS = { tlsCert: '', tlsKey: '', tlsCa: '' };

/**
 * What this service asks of the content service, over real gRPC and kept in memory: leases by id with their
 * resources as `<type> <id>`, and the scopes for which a collection was asked.
 */
export class ContentServer {
  readonly leases = new Map<string, Set<string>>();
  readonly collections: string[] = [];
  /** Called when a resource has been added, before the answer. */
  onAdd: ((resource: string) => Promise<void>) | undefined;
  readonly address: string;
  readonly #server = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.address = `unix://${join(directory, 'content.sock')}`;
    this.#server.add(Leases, {
      addResource: async ({ id, resource }) => {
        const key = `${resource?.type} ${resource?.id}`;
        this.#lease(id).add(key);
        await this.onAdd?.(key);
        return {};
      },
      deleteResource: async ({ id, resource }) => {
        this.#lease(id).delete(`${resource?.type} ${resource?.id}`);
        return {};
      },
    });
    this.#server.add(CollectorService, {
      collect: async (_request, call) => {
        this.collections.push(`${call.namespace} ${call.node}`);
        return {};
      },
    });
  }

  static async start(): Promise<ContentServer> {
    const content = new ContentServer(await mkdtemp(join(tmpdir(), 'longshore-content-')));
    await content.#server.listen(content.address, NO_TLS);
    return content;
  }

  async close(): Promise<void> {
    await this.#server.close(1_000);
    await rm(this.#directory, { recursive: true, force: true });
  }

  #lease(id: string): Set<string> {
    const lease = this.leases.get(id);
    if (!lease) throw notFound(`lease ${JSON.stringify(id)}`);
    return lease;
  }
}
