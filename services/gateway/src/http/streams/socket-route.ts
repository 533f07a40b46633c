import { once } from 'node:events';
import websocket from '@fastify/websocket';
import { kindOf, unavailable } from '@longshore/errors';
import { type Output, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';
import type { RouteConfig } from '../route-rule.ts';
import { Channel, MAX_MESSAGE_BYTES } from './channel-protocol.ts';
import { ProcessSocket } from './process-socket.ts';
import { chooseProtocol, requireOwnSocket } from './socket-requests.ts';

/** A close code that says: come back. Source: the WebSocket close code registry. */
const SERVICE_RESTART = 1012;
const GOODBYE_MS = 1_000;

/** To be registered before the first socket's route. */
export async function acceptSockets(app: FastifyInstance): Promise<void> {
  await app.register(websocket, {
    options: { maxPayload: MAX_MESSAGE_BYTES, handleProtocols: chooseProtocol },
    preClose(done) {
      for (const client of this.websocketServer.clients) {
        client.close(SERVICE_RESTART);
        // Who does not answer to that must not keep this process.
        setTimeout(() => client.terminate(), GOODBYE_MS).unref();
      }
      this.websocketServer.close();
      done();
    },
    errorHandler: (error, socket, request) => {
      request.log.debug({ error: error.message }, 'socket failed');
      socket.terminate();
    },
  });
}

export interface SocketRoute<R extends RouteGenericInterface, T> {
  url: string;
  schema: object;
  config: RouteConfig;
  /** What the socket is opened for; what is thrown is still a status and a problem. */
  prepare(request: FastifyRequest<R>, reply: FastifyReply): Promise<T>;
  /** Talks until there is no more to say; what is thrown becomes the last message. */
  talk(socket: ProcessSocket, prepared: T): Promise<void>;
}

/** A route that is a socket, speaking {@link SUBPROTOCOL}. */
export function addSocketRoute<R extends RouteGenericInterface, T>(
  app: FastifyInstance,
  { url, schema, config, prepare, talk }: SocketRoute<R, T>,
): void {
  const ready = new WeakMap<FastifyRequest, T>();
  app.route<R>({
    method: 'GET',
    url,
    schema,
    config,
    preHandler: [
      requireOwnSocket,
      async (request, reply) => {
        ready.set(request as FastifyRequest, await prepare(request, reply));
      },
    ],
    handler: () => {
      throw unavailable('WebSocket');
    },
    wsHandler: async (raw, request) => {
      const socket = new ProcessSocket(raw, request.id);
      try {
        await untilStopped(request.stopped, talk(socket, ready.get(request as FastifyRequest)!));
        request.record?.end('ok');
        socket.close();
      } catch (error) {
        // One who leaves ends what is done for it.
        const isLeft = socket.gone.aborted;
        request.record?.end(isLeft ? 'ok' : { error: kindOf(error) });
        if (!isLeft) await socket.fail(error);
      }
    },
  });
}

/** Throws why the client may talk no more, once it may not; what it had under way ends with its socket. */
async function untilStopped(stopped: AbortSignal | undefined, talk: Promise<void>): Promise<void> {
  if (!stopped) return talk;
  const over = new AbortController();
  const abort = once(stopped, 'abort', { signal: over.signal });
  abort.catch(() => undefined);
  try {
    await Promise.race([talk, abort]);
    if (stopped.aborted) talk.catch(() => undefined);
    stopped.throwIfAborted();
  } finally {
    over.abort();
  }
}

/** Resolves when the client has taken it. */
export async function sendOutput(socket: ProcessSocket, output: Output): Promise<void> {
  const { stream, data, skippedBytes } = output;
  if (skippedBytes > 0n) await socket.tell({ type: 'skipped', bytes: Number(skippedBytes) });
  if (data.length > 0) await socket.send(stream === Stream.STDERR ? Channel.Stderr : Channel.Stdout, data);
}
