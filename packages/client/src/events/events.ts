import type { Any } from '@bufbuild/protobuf/wkt';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import type { ServerEvent } from './event.ts';
import { type SubscribeOptions, Subscription } from './subscription.ts';

/** What happens at a server, as it tells of it. */
export class EventStream {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Begins with its first reading; {@link open} tells when nothing is missed any more. */
  async *subscribe(options?: SubscribeOptions): AsyncGenerator<ServerEvent> {
    yield* await this.open(options);
  }

  /** Resolves once no event is missed any more. */
  open(options?: SubscribeOptions): Promise<Subscription> {
    return Subscription.open(this.#connection, options);
  }

  /** `topic` is `/` and names joined by `/`. */
  async publish(topic: string, event: Pick<Any, 'typeUrl' | 'value'>, options?: CallOptions): Promise<void> {
    await this.#connection.service(Events).publish({ topic, event }, options);
  }
}
