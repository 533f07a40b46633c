import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { unavailable } from '@longshore/errors';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import type { Connection } from '../connection/connection.ts';
import { eventFromProto, type ServerEvent } from './event.ts';

export interface SubscribeOptions {
  /** In containerd's filter language, e.g. `topic=="/tasks/exit"`; of several, any may match. Default: all. */
  filters?: readonly string[] | undefined;
  /** Default: the connection's own namespace only. */
  allNamespaces?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** A server that does not tell that it has begun is sent another event to deliver after this time. */
const PROBE_AGAIN_MS = 200;

/**
 * Events from the moment in which it was opened, in the server's order, for one reader. It ends when it is closed; with Canceled when its
 * signal aborts, and with Unavailable when the server goes away: what happens then, until another one is opened, is not heard.
 */
export class Subscription implements AsyncIterable<ServerEvent>, Disposable {
  readonly #envelopes: AsyncIterator<Envelope>;
  readonly #closing: AbortController;
  #next: Promise<IteratorResult<Envelope>>;

  private constructor(
    envelopes: AsyncIterator<Envelope>,
    first: Promise<IteratorResult<Envelope>>,
    closing: AbortController,
  ) {
    this.#envelopes = envelopes;
    this.#next = first;
    this.#closing = closing;
  }

  /** Resolves once no event is missed any more. */
  static async open(connection: Connection, options: SubscribeOptions = {}): Promise<Subscription> {
    const closing = new AbortController();
    const { signal: given } = options;
    const signal = given ? AbortSignal.any([given, closing.signal]) : closing.signal;
    const probe = `/longshore/probe/${randomBytes(8).toString('hex')}`;
    const begun = Promise.withResolvers<unknown>();
    const answers = connection
      .service(Events)
      .subscribe({ filters: filtersOf(connection, options, probe) }, { signal, onHeaders: begun.resolve });
    const envelopes = withoutProbes(answers, probe, () => begun.resolve(undefined));
    const first = envelopes.next();
    first.then(begun.resolve, begun.reject);
    // A containerd says nothing before its first event. Whoever may open a socket may publish one; a fleet's gateway says that it has begun.
    if (connection.isLocal) sendProbes(connection, probe, signal, begun.promise).catch(begun.reject);
    try {
      await begun.promise;
    } catch (error) {
      closing.abort();
      throw error;
    }
    return new Subscription(envelopes, first, closing);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ServerEvent> {
    try {
      for (let next = await this.#next; !next.done; next = await this.#next) {
        yield eventFromProto(next.value);
        this.#next = this.#envelopes.next();
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      throw error;
    } finally {
      this.close();
    }
    throw unavailable('subscription: the server has ended it');
  }

  close(): void {
    this.#closing.abort();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A comma is "and". */
function filtersOf(
  connection: Connection,
  { filters = [], allNamespaces = false }: SubscribeOptions,
  probe: string,
): string[] {
  const own = `namespace==${connection.namespace}`;
  const asked = filters.map((filter) => (allNamespaces ? filter : `${own},${filter}`));
  const all = asked.length > 0 || allNamespaces ? asked : [own];
  return all.length > 0 ? [...all, `topic==${JSON.stringify(probe)}`] : [];
}

async function* withoutProbes(
  envelopes: AsyncIterable<Envelope>,
  probe: string,
  onProbe: () => void,
): AsyncGenerator<Envelope> {
  for await (const envelope of envelopes) {
    if (envelope.topic === probe) onProbe();
    else yield envelope;
  }
}

async function sendProbes(
  connection: Connection,
  topic: string,
  signal: AbortSignal,
  begun: Promise<unknown>,
): Promise<void> {
  let isBegun = false;
  const told = begun.then(
    () => {
      isBegun = true;
    },
    () => {
      isBegun = true;
    },
  );
  const event = { typeUrl: 'google.protobuf.Empty', value: new Uint8Array() };
  while (!isBegun && !signal.aborted) {
    await connection.service(Events).publish({ topic, event }, { signal });
    await Promise.race([told, delay(PROBE_AGAIN_MS)]);
  }
}
