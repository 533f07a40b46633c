import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type RetryPolicy, retryDelayMs, unavailable } from '@longshore/errors';
import { type ConnectionOptions, credsAuthenticator, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';

export interface NatsOptions {
  /** e.g. `nats://127.0.0.1:4222`; one of them is enough to find a cluster. */
  servers: readonly string[];
  /** Shown by the server's monitoring. */
  name: string;
  user?: string | undefined;
  password?: string | undefined;
  /** Path of a credentials file (JWT and seed); empty for none. */
  credsFile?: string | undefined;
  /** Paths of PEM files; used for servers with `tls://`, or that demand TLS. */
  tls?: { caFile?: string; certFile?: string; keyFile?: string } | undefined;
  /** Runs on each new connection before anybody gets it; when it throws, the connection is closed and made anew. */
  prepare?: ((connection: NatsConnection) => Promise<void>) | undefined;
  /** Told of each connection made (no error), lost, or not made. */
  onChange?: ((error?: unknown) => void) | undefined;
}

const CONNECT_TIMEOUT_MS = 3_000;
/** A half-open connection is noticed after two unanswered pings. */
const PING_INTERVAL_MS = 5_000;
const MAX_PINGS_OUT = 2;
/** How long a caller is kept waiting rather than told that NATS is away. */
const RECONNECT_GRACE_MS = 1_000;
const RECONNECT: RetryPolicy = { initialDelayMs: 50, maxDelayMs: 2_000, attempts: Number.POSITIVE_INFINITY };

/**
 * A connection to NATS that is made again for ever. A broken one is not patched up but replaced: what was in flight
 * fails at once, and nothing of it is sent later behind newer messages, so each connection delivers a prefix of
 * what was published on it.
 */
export class NatsLink {
  readonly #options: NatsOptions;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #connection: NatsConnection | undefined;
  #next = Promise.withResolvers<NatsConnection>();

  constructor(options: NatsOptions) {
    this.#options = options;
    this.#next.promise.catch(() => undefined);
    this.#done = this.#keepConnected();
  }

  /** The connection, while there is one. */
  get connection(): NatsConnection | undefined {
    return this.#connection;
  }

  /** Waits for a connection. Rejects with the signal's reason, or when the link is closed. */
  async connected(signal?: AbortSignal): Promise<NatsConnection> {
    signal?.throwIfAborted();
    if (this.#connection) return this.#connection;
    if (!signal) return this.#next.promise;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([this.#next.promise, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The connection; a moment's wait covers one that is being made again. Throws Unavailable after it. */
  async connectedSoon(signal: AbortSignal): Promise<NatsConnection> {
    const soon = AbortSignal.timeout(RECONNECT_GRACE_MS);
    try {
      return await this.connected(AbortSignal.any([signal, soon]));
    } catch (error) {
      signal.throwIfAborted();
      throw unavailable('no connection to NATS', { cause: error });
    }
  }

  /** Closes the connection; what is in flight fails. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#next.reject(new DOMException('the NATS link is closed', 'AbortError'));
    await this.#connection?.close();
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #keepConnected(): Promise<void> {
    for (let attempt = 1; !this.#closing.signal.aborted; attempt++) {
      try {
        const connection = await this.#open();
        attempt = 0;
        this.#hand(connection);
        const error = await connection.closed();
        this.#withdraw(error ?? new Error('connection closed'));
      } catch (error) {
        this.#options.onChange?.(error);
      }
      await delay(retryDelayMs(RECONNECT, Math.max(attempt, 1)), undefined, {
        signal: this.#closing.signal,
      }).catch(
        () => undefined, // closing: the loop's condition ends it
      );
    }
  }

  async #open(): Promise<NatsConnection> {
    const connection = await connect(connectionOptions(this.#options));
    try {
      await this.#options.prepare?.(connection);
      this.#closing.signal.throwIfAborted();
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  #hand(connection: NatsConnection): void {
    this.#connection = connection;
    this.#options.onChange?.();
    this.#next.resolve(connection);
    this.#next = Promise.withResolvers();
    this.#next.promise.catch(() => undefined);
  }

  #withdraw(error: unknown): void {
    this.#connection = undefined;
    if (!this.#closing.signal.aborted) this.#options.onChange?.(error);
  }
}

function connectionOptions(options: NatsOptions): ConnectionOptions {
  const base = {
    servers: [...options.servers],
    name: options.name,
    reconnect: false,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    // Else each request records where it was made, in case that it fails: a quarter of what publishing costs.
    noAsyncTraces: true,
  };
  return {
    ...base,
    ...(options.credsFile ? { authenticator: credsAuthenticator(readFileSync(options.credsFile)) } : {}),
    ...(options.user ? { user: options.user, pass: options.password ?? '' } : {}),
    ...(options.tls ? { tls: options.tls } : {}),
  };
}
