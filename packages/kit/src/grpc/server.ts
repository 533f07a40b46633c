import { randomUUID } from 'node:crypto';
import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { internal, LongshoreError, toGrpcStatus, unimplemented } from '@longshore/errors';
import { Health } from '@longshore/proto/grpc/health/v1/health';
import { Header } from '@longshore/proto/headers';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';
import {
  bindPrivately,
  claimSocketPath,
  formatAddress,
  LOCAL,
  parseAddress,
  type Revocations,
  type TlsFiles,
  type TlsIdentity,
} from '@longshore/transport';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import { checkAccess } from './access.ts';
import { Call, type HeadersRead, type RawCall } from './call.ts';
import { statusTrailers } from './end-with-error.ts';
import type { Handlers } from './handlers.ts';
import { HealthService } from './health.ts';
import { CHANNEL_LIMITS, STREAM_RESETS } from './limits.ts';
import { callersOf, keepFresh, type ListenOptions, openIdentity } from './listener-tls.ts';
import { observe } from './observe.ts';
import { isPlain, serveUnary } from './serve-unary.ts';
import { type Callers, ServerSessions } from './server-sessions.ts';
import type { UnaryMethod } from './unary-method.ts';

/**
 * Set on every call over TLS to the id of its connection, in the place of whatever the caller sent: grpc-js gives a
 * handler its call's headers, and nothing else that a connection could be told by once that is gone.
 */
const CONNECTION_HEADER = 'longshore-connection';

export interface GrpcServerOptions {
  /** Whose calls are refused, and whose connections are ended. */
  revocations?: Revocations | undefined;
}

/** What a handler of any shape looks like to the adapters below. */
type AnyHandler = (input: unknown, call: Call) => unknown;
type AnyStream = ServerDuplexStream<unknown, unknown>;
type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => void;

const OK_TRAILERS = { 'grpc-status': '0' };

/**
 * A gRPC server for protobuf-es services on grpc-js. Every call is traced, logged, measured, and answers
 * with the status of `@longshore/errors`.
 */
export class GrpcServer {
  readonly #server = new Server(CHANNEL_LIMITS);
  readonly #stopping = new AbortController();
  readonly health = new HealthService(this.#stopping.signal);
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #sessions: ServerSessions;
  readonly #unaryMethods = new Map<string, UnaryMethod>();

  constructor(log: Logger, metrics: Metrics, { revocations }: GrpcServerOptions = {}) {
    this.#log = log;
    this.#metrics = metrics;
    this.#sessions = new ServerSessions(revocations);
    this.add(Health, this.health.handlers());
  }

  /** Aborts when the server begins to close: calls that would wait for ever end themselves on it. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  add<S extends DescService>(service: S, handlers: Handlers<S>): void {
    const implementation: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      const handler = (handlers as Record<string, AnyHandler | undefined>)[method.localName];
      implementation[method.name] = this.#adapt(method, handler ?? refuse(method));
      if (method.methodKind === 'unary' && handler) {
        this.#unaryMethods.set(`/${service.typeName}/${method.name}`, this.#direct(method, handler));
      }
    }
    this.#server.addService(definitionOf(service), implementation);
  }

  /** A unary method that is served here, by its path, e.g. `/containerd.services.images.v1.Images/Get`. */
  unaryMethod(path: string): UnaryMethod | undefined {
    return this.#unaryMethods.get(path);
  }

  /**
   * Listens and answers the address, with the port that was taken. Sockets are for their owner only (0600); TCP needs
   * TLS and, unless it is for anyone, a certificate of the caller.
   */
  async listen(listen: string, tls: TlsFiles, options: ListenOptions = {}): Promise<string> {
    const address = parseAddress(listen);
    const identity = openIdentity(address, tls, this.#log);
    const callers = callersOf(address, options);
    if (callers !== 'anyone') allowManyResets(this.#server);
    if (address.kind === 'unix') await claimSocketPath(address.path);
    const target = address.kind === 'unix' ? `unix:${address.path}` : listen;
    const credentials = credentialsOf(identity, callers);
    onHttp2Server(this.#server, credentials, (server) => {
      this.#watch(server, callers);
      if (identity) keepFresh(server as Http2SecureServer, identity);
    });
    const port = await bindPrivately(() => this.#bind(target, credentials));
    this.health.setServing(true);
    return formatAddress(address.kind === 'unix' ? address : { ...address, port });
  }

  /** Sends callers elsewhere, lets calls in flight finish, and cuts what is left after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.health.setServing(false);
    this.#stopping.abort();
    const cut = setTimeout(() => this.#server.forceShutdown(), timeoutMs);
    this.#sessions.drain();
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(cut);
    this.#sessions.close();
  }

  #bind(target: string, credentials: ServerCredentials): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(target, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
  }

  #watch(server: Http2Server | Http2SecureServer, callers: Callers): void {
    this.#takeUnary(server);
    const sessions = this.#sessions;
    server.prependListener('session', (session) => sessions.add(session, callers));
    if (callers === 'local') return;
    server.prependListener('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      headers[CONNECTION_HEADER] = sessions.idOf(stream.session);
    });
  }

  /** Has calls of unary methods answered without grpc-js, which has put up its listeners already. */
  #takeUnary(server: Http2Server | Http2SecureServer): void {
    const theirs = server.listeners('stream') as OnStream[];
    server.removeAllListeners('stream');
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...more: unknown[]) => {
      const method = this.#unaryMethods.get(String(headers[':path']));
      if (method && isPlain(headers)) void serveUnary(stream, headers, method);
      else for (const listener of theirs) listener.call(server, stream, headers, ...more);
    });
  }

  #adapt(method: DescMethod, handler: AnyHandler): UntypedHandleCall {
    if (method.methodKind === 'unary') return this.#unary(method, handler);
    return (raw: AnyStream) => this.#stream(method, handler, raw);
  }

  #unary(method: DescMethod, handler: AnyHandler): handleUnaryCall<unknown, unknown> {
    return (raw, callback) => {
      const call = this.#open(raw);
      this.#handle(method, handler, call, raw, (answer) => answer).then(
        (answer) => callback(null, answer, call.trailers),
        (error) => callback(statusOf(error, call.trailers)),
      );
    };
  }

  #direct(method: DescMethod, handler: AnyHandler): UnaryMethod {
    return {
      decode: (request) => fromBinary(method.input, request),
      run: async (raw, request) => {
        const call = this.#open(raw);
        try {
          const given = { request, metadata: raw.metadata };
          // Encoded where it is measured: an answer that is too large is no success.
          const encode = (answer: Message) => checkedSize(toBinary(method.output, answer));
          const message = await this.#handle(method, handler, call, given, encode);
          return { message, trailers: { ...call.trailers.toHttp2Headers(), ...OK_TRAILERS } };
        } catch (error) {
          return { trailers: { ...call.trailers.toHttp2Headers(), ...statusTrailers(error) } };
        }
      },
    };
  }

  #handle<T>(
    method: DescMethod,
    handler: AnyHandler,
    call: Call,
    { request, metadata }: { request: unknown; metadata: HeadersRead },
    finish: (answer: Message) => T,
  ): Promise<T> {
    return observe(method, call, metadata, this.#metrics, async () => {
      checkAccess(call);
      const answer = await handler(request, call);
      return finish(create(method.output, answer as Record<string, unknown>));
    });
  }

  #stream(method: DescMethod, handler: AnyHandler, raw: AnyStream): void {
    const call = this.#open(raw);
    observe(method, call, raw.metadata, this.#metrics, async () => {
      checkAccess(call);
      const input =
        method.methodKind === 'server_streaming'
          ? (raw as unknown as { request: unknown }).request
          : raw.iterator({ destroyOnReturn: false });
      // One message is produced while the one before is sent. The stream's own limit counts 16 messages, whatever
      // their size, which is too much memory for bulk data and a slow reader.
      let sent = Promise.resolve();
      for await (const answer of handler(input, call) as AsyncIterable<Record<string, unknown>>) {
        await sent;
        call.signal.throwIfAborted();
        sent = send(raw, create(method.output, answer), call.signal);
      }
      await sent;
    }).then(
      () => raw.end(call.trailers),
      (error) => raw.emit('error', statusOf(error, call.trailers)),
    );
  }

  #open(raw: RawCall): Call {
    const requestId = raw.metadata.get(Header.RequestId)[0]?.toString() || randomUUID();
    const connection = raw.metadata.get(CONNECTION_HEADER)[0]?.toString();
    // Only a unix socket has none.
    const findPeer = () => (connection === undefined ? LOCAL : this.#sessions.peerOn(connection));
    const serial = connection === undefined ? undefined : this.#sessions.serialOn(connection);
    return new Call(raw, requestId, this.#log, findPeer, serial);
  }
}

function checkedSize(message: Uint8Array): Uint8Array {
  if (message.length <= MAX_MESSAGE_BYTES) return message;
  const problem = `answer of ${message.length} bytes: more than ${MAX_MESSAGE_BYTES}: resource exhausted`;
  throw new LongshoreError('ResourceExhausted', problem);
}

function credentialsOf(identity: TlsIdentity | undefined, callers: Callers): ServerCredentials {
  if (!identity) return ServerCredentials.createInsecure();
  const { ca, cert, key } = identity.pems;
  const pair = { private_key: key, cert_chain: cert };
  return ServerCredentials.createSsl(ca, [pair], callers === 'certified');
}

/** grpc-js has no option for it; what it makes its HTTP/2 servers from is a private field. */
function allowManyResets(server: Server): void {
  const { commonServerOptions } = server as unknown as { commonServerOptions?: object };
  if (!commonServerOptions) throw internal('grpc-js keeps its HTTP/2 options elsewhere in this version');
  Object.assign(commonServerOptions, STREAM_RESETS);
}

/** Hands over the HTTP/2 server of each address that grpc-js binds with these credentials, before it listens. */
function onHttp2Server(
  server: Server,
  credentials: ServerCredentials,
  watch: (made: Http2Server | Http2SecureServer) => void,
): void {
  const maker = server as unknown as {
    createHttp2Server?: (credentials: ServerCredentials) => Http2Server | Http2SecureServer;
  };
  const make = maker.createHttp2Server?.bind(server);
  if (!make) throw internal('grpc-js makes its HTTP/2 servers elsewhere in this version');
  maker.createHttp2Server = (used) => {
    const made = make(used);
    if (used === credentials) watch(made);
    return made;
  };
}

/** grpc-js's description of a protobuf-es service. */
export function definitionOf(service: DescService): ServiceDefinition {
  const entries = service.methods.map((method) => [
    method.name,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
      responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
      requestSerialize: (message: never) => Buffer.from(toBinary(method.input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      responseSerialize: (message: never) => asBuffer(toBinary(method.output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
    },
  ]);
  return Object.fromEntries(entries);
}

/** The same bytes, without a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refuse(method: DescMethod): AnyHandler {
  const error = () => unimplemented(`rpc ${method.parent.typeName}/${method.name}`);
  if (method.methodKind === 'unary') return () => Promise.reject(error());
  // biome-ignore lint/correctness/useYield: a stream that fails before its first message.
  return async function* () {
    throw error();
  };
}

function statusOf(error: unknown, metadata: Metadata): { code: number; details: string; metadata: Metadata } {
  const { code, message } = toGrpcStatus(error);
  return { code, details: message, metadata };
}

/** Resolves when the message has left, or its call is over: then grpc-js drops it without a word. */
function send(raw: AnyStream, message: unknown, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
    raw.write(message, done);
  });
}
