import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { invalidArgument, messageOf } from '@longshore/errors';
import type { HandlerContext, ServiceImpl } from './service.ts';

/** Encoded requests in; every encoded response, in order. */
export interface MethodHandler {
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  run(requests: AsyncIterable<Uint8Array>, context: HandlerContext): AsyncIterable<Uint8Array>;
}

export type MethodHandlers = ReadonlyMap<string, MethodHandler>;

/** Wire name of each rpc that `impl` has → its handler. */
export function methodHandlers<S extends DescService>(service: S, impl: ServiceImpl<S>): MethodHandlers {
  const handlers = new Map<string, MethodHandler>();
  for (const method of service.methods) {
    const implement = (impl as Record<string, Implementation | undefined>)[method.localName];
    if (implement) handlers.set(method.name, handlerOf(method, implement.bind(impl)));
  }
  return handlers;
}

type Implementation = (input: unknown, context: HandlerContext) => unknown;

function handlerOf(method: DescMethod, implement: Implementation): MethodHandler {
  const clientStreams = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const serverStreams = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
  return {
    clientStreams,
    serverStreams,
    async *run(encoded, context) {
      const requests = decodeAll(method, encoded);
      const input = clientStreams ? requests : await first(method, requests);
      const output = implement(input, context);
      const responses = serverStreams ? (output as AsyncIterable<object>) : [await output];
      for await (const response of responses) {
        yield toBinary(method.output, create(method.output, response as MessageShape<typeof method.output>));
      }
    },
  };
}

async function* decodeAll(method: DescMethod, encoded: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  for await (const bytes of encoded) {
    try {
      yield fromBinary(method.input, bytes);
    } catch (error) {
      throw invalidArgument(`ttrpc: ${method.name}: ${messageOf(error)}`, { cause: error });
    }
  }
}

async function first(method: DescMethod, requests: AsyncIterable<unknown>): Promise<unknown> {
  for await (const request of requests) return request;
  throw invalidArgument(`ttrpc: ${method.name}: no request message`);
}
