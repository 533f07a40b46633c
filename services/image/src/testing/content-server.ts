import { notFound } from '@longshore/errors';
import { type Call, createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** What this service asks of the content service, over real gRPC and kept in memory. */
export class ContentServer {
  /** Resources by the id of their lease, as `<type> <id>`. */
  readonly leases = new Map<string, Set<string>>();
  /** Scopes for which a collection was asked, as `<namespace> <node>`, with ` wait`. */
  readonly collections: string[] = [];
  /** Called when a resource is being added, before the answer. */
  onAdd: (() => Promise<void>) | undefined;
  /** Called during a collection that is waited for. */
  onCollect: ((call: Call) => Promise<void>) | undefined;
  readonly #server = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));

  constructor() {
    this.#server.add(Leases, {
      addResource: async ({ id, resource }) => {
        await this.onAdd?.();
        this.#lease(id).add(`${resource?.type} ${resource?.id}`);
        return {};
      },
      deleteResource: async ({ id, resource }) => {
        this.#lease(id).delete(`${resource?.type} ${resource?.id}`);
        return {};
      },
    });
    this.#server.add(CollectorService, {
      collect: async ({ wait }, call) => {
        this.collections.push(`${call.namespace} ${call.node}${wait ? ' wait' : ''}`);
        if (wait) await this.onCollect?.(call);
        return {};
      },
    });
  }

  async listen(address: string): Promise<void> {
    await this.#server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
  }

  close(): Promise<void> {
    return this.#server.close(1000);
  }

  #lease(id: string): Set<string> {
    const lease = this.leases.get(id);
    if (!lease) throw notFound(`lease ${JSON.stringify(id)}`);
    return lease;
  }
}
