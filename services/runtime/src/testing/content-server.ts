import { unavailable } from '@longshore/errors';
import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';

/** What this service asks of the content service, over real gRPC: the scopes for which a collection was asked, and nodes to forget. */
export class ContentServer {
  readonly collections: string[] = [];
  /** Nodes whose records were to be removed. */
  readonly forgotten: string[] = [];
  /** Makes that fail. */
  isAway = false;
  /** What that waits for. */
  hold: Promise<void> = Promise.resolve();
  readonly #server = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));

  constructor() {
    this.#server.add(CollectorService, {
      collect: async (_request, call) => {
        this.collections.push(`${call.namespace} ${call.node}`);
        return {};
      },
    });
    this.#server.add(BlobService, {
      forgetNode: async ({ node }) => {
        await this.hold;
        if (this.isAway) throw unavailable('content');
        this.forgotten.push(node);
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
