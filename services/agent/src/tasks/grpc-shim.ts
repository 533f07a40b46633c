import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isKind, messageOf, unavailable, unimplemented } from '@longshore/errors';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import type { ShimAddress } from './shim-address.ts';
import type { ShimCall, ShimConnection, ShimMethod, ShimRequest, ShimResponse } from './shim-connection.ts';

/** From one connection's end to the other's. */
const CLOSE_TIMEOUT_MS = 500;

/** A shim that speaks gRPC: on a unix socket with a path, and only version 3 of the task service. */
export class GrpcShim implements ShimConnection {
  readonly closed: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #task: ServiceClient<typeof Task>;

  private constructor(session: ClientHttp2Session, channel: Channel) {
    this.#session = session;
    this.#task = createClient(Task, channel);
    this.closed = new Promise((resolve) => session.once('close', resolve));
    void this.closed.then(() => channel.close());
  }

  /** Fails with `Unavailable` when nobody listens there. */
  static async dial(address: ShimAddress, version: number, signal?: AbortSignal): Promise<GrpcShim> {
    if (version < 3) throw unimplemented(`gRPC with version ${version} of the shim API`);
    if (address.kind !== 'unix' || address.path.startsWith('\0')) throw unimplemented('gRPC shim on no path');
    return new GrpcShim(await openSession(address.path, signal), new Channel(`unix://${address.path}`));
  }

  get isClosed(): boolean {
    return this.#session.closed || this.#session.destroyed;
  }

  async call<M extends ShimMethod>(
    method: M,
    request: ShimRequest<M>,
    { namespace, signal, timeoutMs, traceHeaders }: ShimCall,
  ): Promise<ShimResponse<M>> {
    const send = this.#task[method] as unknown as (
      request: ShimRequest<M>,
      options: object,
    ) => Promise<ShimResponse<M>>;
    const deadline = timeoutMs === undefined ? undefined : new Date(Date.now() + timeoutMs);
    try {
      return await send(request, {
        signal,
        deadline,
        headers: { [Header.Namespace]: namespace, ...traceHeaders },
      });
    } catch (error) {
      // A shim may say so itself. Of one that is gone, the other connection's end may be heard of a moment later.
      if (isKind(error, 'Unavailable')) await this.#closedSoon();
      throw error;
    }
  }

  isLost(): boolean {
    return this.isClosed;
  }

  downgrade(): boolean {
    return false;
  }

  async close(): Promise<void> {
    this.#session.destroy();
    await this.closed;
  }

  async #closedSoon(): Promise<void> {
    await Promise.race([this.closed, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }
}

/**
 * A connection beside that of the calls, on which nothing is said: gRPC's own connects again by itself, and does not
 * tell when a shim went away.
 */
async function openSession(path: string, signal?: AbortSignal): Promise<ClientHttp2Session> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect({ path }) });
  try {
    await once(session, 'connect', { signal });
    // What goes wrong later ends it, which is what is looked for.
    session.on('error', () => undefined);
    return session;
  } catch (error) {
    session.on('error', () => undefined).destroy();
    throw unavailable(`shim: dial ${path}: ${messageOf(error)}`, { cause: error });
  }
}
