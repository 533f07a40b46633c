import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, EmptySchema } from '@bufbuild/protobuf/wkt';
import { invalidArgument, LongshoreError, notFound } from '@longshore/errors';
import { StreamInitSchema } from '@longshore/proto/containerd/services/streaming/v1/streaming';

/** Our end of a stream that a client has opened, to be named in a call of its own. */
export interface NodeStream {
  /** Resolves when the message is on its way to the client, or the stream is over. */
  send(message: Pick<Any, 'typeUrl' | 'value'>): Promise<void>;
  /** `undefined` when the client sends nothing more. One at a time. */
  receive(): Promise<Any | undefined>;
  /** Ends the call with status OK, once what was sent is out. */
  close(): void;
}

/**
 * Streams by their namespace and id, which the client makes up. open (named, acknowledged) → closed, by us or with the
 * client's call. Source: containerd plugins/services/streaming/service.go.
 */
export class StreamTable {
  readonly #streams = new Map<string, OpenStream>();

  /** Throws NotFound. */
  get(namespace: string, id: string): NodeStream {
    const stream = this.#streams.get(keyOf(namespace, id));
    if (!stream) throw notFound(`stream ${JSON.stringify(id)}`);
    return stream;
  }

  /** The client's end: what it sends, and what is sent to it. Ends with `signal`. */
  async *serve(
    namespace: string,
    requests: AsyncIterable<Any>,
    signal: AbortSignal,
  ): AsyncGenerator<Pick<Any, 'typeUrl' | 'value'>> {
    const incoming = requests[Symbol.asyncIterator]();
    const id = idOf(await incoming.next());
    const key = keyOf(namespace, id);
    // containerd answers this one with no class at all.
    if (this.#streams.has(key))
      throw new LongshoreError('Unknown', `stream ${JSON.stringify(id)}: already exists`);
    const stream = new OpenStream(incoming);
    this.#streams.set(key, stream);
    const end = () => stream.close();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    try {
      yield { typeUrl: EmptySchema.typeName, value: toBinary(EmptySchema, create(EmptySchema)) };
      yield* stream.outgoing();
    } finally {
      signal.removeEventListener('abort', end);
      stream.close();
      this.#streams.delete(key);
    }
  }
}

class OpenStream implements NodeStream {
  readonly #incoming: AsyncIterator<Any>;
  readonly #queue: { message: Pick<Any, 'typeUrl' | 'value'>; taken: () => void }[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(incoming: AsyncIterator<Any>) {
    this.#incoming = incoming;
  }

  send(message: Pick<Any, 'typeUrl' | 'value'>): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ message, taken: resolve });
    this.#wake();
    return promise;
  }

  async receive(): Promise<Any | undefined> {
    const { value, done } = await this.#incoming.next();
    return done ? undefined : value;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  async *outgoing(): AsyncGenerator<Pick<Any, 'typeUrl' | 'value'>> {
    try {
      for (;;) {
        for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
          yield next.message;
          next.taken();
        }
        if (this.#isClosed) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#isClosed = true;
      for (const { taken } of this.#queue) taken();
    }
  }
}

function idOf(first: IteratorResult<Any>): string {
  const message = first.done ? create(AnySchema) : first.value;
  if (typeNameOf(message.typeUrl) !== StreamInitSchema.typeName) {
    throw invalidArgument('first message of a stream must be StreamInit');
  }
  return fromBinary(StreamInitSchema, message.value).id;
}

/** The full name of a type, which may stand behind a prefix. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}\u0000${id}`;
}
