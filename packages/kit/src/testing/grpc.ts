import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type StatusObject,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { CHANNEL_LIMITS } from '../grpc/limits.ts';
import { definitionOf, GrpcServer } from '../grpc/server.ts';
import { createLogger, type Logger } from '../logger.ts';
import { createMetrics } from '../metrics.ts';
import { scratchDirectory } from './scratch.ts';

export const NO_TLS = { tlsCert: '', tlsKey: '', tlsCa: '' };
export const silent = createLogger('test', 'silent');

export interface TestServer {
  server: GrpcServer;
  /** `unix:///path` */
  address: string;
}

/** A server on a unix socket of its own, closed after the test. */
export async function startServer(
  register: (server: GrpcServer) => void,
  log: Logger = silent,
  metrics = createMetrics('test'),
): Promise<TestServer> {
  const server = new GrpcServer(log, metrics);
  register(server);
  const address = `unix://${join(scratchDirectory(), 'test.sock')}`;
  await server.listen(address, NO_TLS);
  onTestFinished(() => server.close(0));
  return { server, address };
}

/** How a call ended, and what came with its status. */
export interface Ended {
  code: number;
  message: string;
  trailers: Metadata;
}

type Unary = (
  request: object,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: StatusObject | null, answer?: unknown) => void,
) => { cancel(): void; on(event: 'status', listener: (status: StatusObject) => void): void };
type ServerStream = (
  request: object,
  metadata: Metadata,
  options: CallOptions,
) => ClientReadableStream<unknown>;
type Bidi = (metadata: Metadata, options: CallOptions) => ClientDuplexStream<object, unknown>;

/** A plain grpc-js client: what any other program would use. Methods go by their names in the .proto file. */
export class TestClient {
  readonly #client: Client & Record<string, unknown>;

  constructor(
    service: DescService,
    address: string,
    channelCredentials: ChannelCredentials = credentials.createInsecure(),
    options: object = {},
  ) {
    const Constructor = makeGenericClientConstructor(definitionOf(service), service.name);
    const target = address.replace('unix://', 'unix:');
    this.#client = new Constructor(target, channelCredentials, {
      ...CHANNEL_LIMITS,
      ...options,
    }) as Client & Record<string, unknown>;
    onTestFinished(() => this.#client.close());
  }

  /** Resolves with the answer, or rejects with an {@link Ended}. */
  unary<T>(
    method: string,
    request: object,
    headers: Record<string, string> = {},
    options: CallOptions & { onCall?: (call: { cancel(): void }) => void } = {},
  ): Promise<{ answer: T; trailers: Metadata }> {
    return new Promise((resolve, reject) => {
      let answer: T;
      const call = (this.#client[method] as Unary).call(
        this.#client,
        request,
        metadataOf(headers),
        options,
        (_, got) => {
          answer = got as T;
        },
      );
      call.on('status', (status) => {
        if (status.code === 0) resolve({ answer, trailers: status.metadata });
        else reject(endedOf(status));
      });
      options.onCall?.(call);
    });
  }

  serverStream<T>(method: string, request: object, headers: Record<string, string> = {}, options = {}) {
    const open = this.#client[method] as ServerStream;
    return open.call(this.#client, request, metadataOf(headers), options) as ClientReadableStream<T>;
  }

  bidi<T>(method: string, headers: Record<string, string> = {}, options = {}) {
    const open = this.#client[method] as Bidi;
    return open.call(this.#client, metadataOf(headers), options) as ClientDuplexStream<object, T>;
  }
}

/** The status of a streaming call; call it before the call can end. */
export function ended(
  call: ClientReadableStream<unknown> | ClientDuplexStream<object, unknown>,
): Promise<Ended> {
  // The status tells of the failure too.
  call.on('error', () => undefined);
  return new Promise((resolve) => call.on('status', (status: StatusObject) => resolve(endedOf(status))));
}

function endedOf(status: StatusObject): Ended {
  return { code: status.code, message: status.details, trailers: status.metadata };
}

function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}
