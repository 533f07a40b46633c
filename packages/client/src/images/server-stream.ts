import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { unavailable } from '@longshore/errors';
import { StreamInitSchema, Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { RequestQueue } from '../content/request-queue.ts';
import type { Services } from '../services.ts';

type Sent = Pick<Any, 'typeUrl' | 'value'>;

/** A message as it travels in streams and transfers: its type's bare name. Source: containerd typeurl. */
export function pack<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Sent {
  return { typeUrl: schema.typeName, value: toBinary(schema, create(schema, init)) };
}

/** Undefined for a message of another type. */
export function unpackAny<D extends DescMessage>(
  schema: D,
  { typeUrl, value }: Any,
): MessageShape<D> | undefined {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1) === schema.typeName
    ? fromBinary(schema, value)
    : undefined;
}

/** Our end of a stream that another call names. open → closed, by us or by the server. Source: containerd core/streaming. */
export class ServerStream {
  readonly id = randomUUID();
  readonly #outgoing = new RequestQueue<Sent>();
  readonly #incoming: AsyncIterator<Any>;
  readonly #leave = new AbortController();

  private constructor(services: Services, signal: AbortSignal) {
    this.#outgoing.push(pack(StreamInitSchema, { id: this.id }));
    const until = AbortSignal.any([signal, this.#leave.signal]);
    this.#incoming = services
      .service(Streaming)
      .stream(this.#outgoing, { signal: until })
      [Symbol.asyncIterator]();
  }

  /** Resolves once the server knows its id. Throws Unimplemented where there are no streams. */
  static async open(services: Services, signal: AbortSignal): Promise<ServerStream> {
    const stream = new ServerStream(services, signal);
    const { done } = await stream.#incoming.next();
    if (done) throw unavailable(`stream ${stream.id}: the server ends it`);
    return stream;
  }

  send(message: Sent): void {
    this.#outgoing.push(message);
  }

  /** What comes in until either side closes. Never throws: the call that names the stream tells what went wrong. */
  async *messages(): AsyncGenerator<Any> {
    for (;;) {
      const next = await this.#incoming.next().catch(() => undefined);
      if (!next || next.done) return;
      yield next.value;
    }
  }

  /** Also while messages are awaited. */
  close(): void {
    this.#outgoing.end();
    this.#leave.abort();
  }
}
