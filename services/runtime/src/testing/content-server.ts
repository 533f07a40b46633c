import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** What this service asks of the content service, over real gRPC: the scopes for which a collection was asked. */
export class ContentServer {
  readonly collections: string[] = [];
  readonly #server = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));

  constructor() {
    this.#server.add(CollectorService, {
      collect: async (_request, call) => {
        this.collections.push(`${call.namespace} ${call.node}`);
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
}
