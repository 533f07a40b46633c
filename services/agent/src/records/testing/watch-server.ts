import { setTimeout as delay } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import {
  type Record,
  type WatchResponseSchema,
  WatchService,
} from '@longshore/proto/longshore/watch/v1/watch';
import { Channel, createClient } from '@longshore/rpc';
import { onTestFinished } from 'vitest';
import { scratchDirectory } from '../../snapshots/testing/scratch-directory.ts';
import type { WatchClient } from '../record-follower.ts';

type Told = MessageInitShape<typeof WatchResponseSchema>;

/** A keeper of records: a log of them, whose length is the position. It tells of all and of changes, by real gRPC. */
export class WatchServer {
  readonly log: Record[] = [];
  /** Positions that callers came with. */
  readonly positions: string[] = [];
  /** Positions before it are unusable. */
  oldest = 0;
  /** Holds back `synced`. */
  isHeld = false;
  readonly client: WatchClient;
  #server: GrpcServer | undefined;
  readonly #address: string;

  private constructor(address: string) {
    this.#address = address;
    const channel = new Channel(address);
    onTestFinished(() => channel.close());
    this.client = createClient(WatchService, channel);
  }

  /** Ends with the test. */
  static async start(): Promise<WatchServer> {
    const watch = new WatchServer(`unix://${await scratchDirectory()}/watch.sock`);
    await watch.listen();
    onTestFinished(() => watch.stop());
    return watch;
  }

  async listen(): Promise<void> {
    const server = new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));
    server.add(WatchService, {
      watch: ({ position }, call) => this.#watch(position, AbortSignal.any([call.signal, server.stopping])),
    });
    await server.listen(this.#address, { tlsCert: '', tlsKey: '', tlsCa: '' });
    this.#server = server;
  }

  async stop(): Promise<void> {
    await this.#server?.close(1_000);
    this.#server = undefined;
  }

  async *#watch(position: string, signal: AbortSignal): AsyncIterable<Told> {
    this.positions.push(position);
    let at = Number(position);
    if (position === '' || at < this.oldest) {
      at = 0;
      yield { reset: true };
    }
    let synced = false;
    while (!signal.aborted) {
      const records = this.log.slice(at);
      at = this.log.length;
      const isNew: boolean = !synced && !this.isHeld;
      if (records.length > 0 || isNew) yield { records, position: String(at), synced: isNew };
      synced ||= isNew;
      await delay(2);
    }
  }
}
