import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Term } from '@longshore/postgres';
import type { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import type { ServiceClient } from '@longshore/rpc';
import { containerEvents } from './events.ts';
import type { NodeRecordsRepository } from './storage/postgres/node-records-repository.ts';
import type { NodeRepository } from './storage/postgres/node-repository.ts';

export interface ForgettingOptions {
  nodes: NodeRepository;
  records: NodeRecordsRepository;
  blobs: ServiceClient<typeof BlobService>;
  log: Logger;
}

/** Removes the records of nodes that are gone: this service's own first, then all others through `content`. */
export class Forgetting {
  readonly #options: ForgettingOptions;
  readonly #failing = new Set<string>();

  constructor(options: ForgettingOptions) {
    this.#options = options;
  }

  /** A node whose records cannot be removed now is tried again in the next round. */
  async run(term: Term): Promise<void> {
    for (const id of await this.#options.records.forgetting()) {
      try {
        await this.#forget(id, term);
        this.#failing.delete(id);
      } catch (error) {
        if (term.signal.aborted) throw error;
        this.#warn(id, error);
      }
    }
  }

  async #forget(id: string, term: Term): Promise<void> {
    const { nodes, records, blobs, log } = this.#options;
    await records.remove(id, containerEvents.deleted, term);
    await blobs.forgetNode({ node: id }, { signal: term.signal });
    await nodes.change(id, () => ({ isForgetting: false }), { before: term });
    log.info({ node: id }, 'records of a removed node are gone');
  }

  /** Once for each outage, not in every round. */
  #warn(id: string, error: unknown): void {
    if (this.#failing.has(id)) return;
    this.#failing.add(id);
    this.#options.log.warn(
      { node: id, error: messageOf(error) },
      'records of a removed node cannot be removed yet',
    );
  }
}
