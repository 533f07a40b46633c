import { existsSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { isKind, LongshoreError } from '@longshore/errors';
import { isErrno } from '@longshore/linux';
import { dialTtrpc } from '@longshore/ttrpc';
import type { BootstrapResult } from './bootstrap-result.ts';
import { GrpcShim } from './grpc-shim.ts';
import { parseShimAddress } from './shim-address.ts';
import type { ShimCall, ShimConnection, ShimMethod, ShimRequest, ShimResponse } from './shim-connection.ts';
import { TtrpcShim } from './ttrpc-shim.ts';

export type { ShimCall, ShimMethod } from './shim-connection.ts';

/** For a shim to be reached. Source: containerd core/runtime/v2/shim.go. */
const DIAL_TIMEOUT_MS = 5_000;
const TOO_LATE = 'the shim does not answer';

/** The task service of one shim, over a connection of its own. */
export class ShimClient {
  readonly #connection: ShimConnection;

  private constructor(connection: ShimConnection) {
    this.#connection = connection;
  }

  /**
   * Takes 5 s at most. Fails with `Unavailable` when nobody listens there, or answers; `Unimplemented` for a way that we cannot
   * go.
   */
  static async dial(
    { address, protocol, version }: BootstrapResult,
    signal?: AbortSignal,
  ): Promise<ShimClient> {
    const Shim = protocol === 'grpc' ? GrpcShim : TtrpcShim;
    // Not `AbortSignal.timeout`, which makes an error for nobody 5 s after every start.
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new DOMException(TOO_LATE, 'TimeoutError')), DIAL_TIMEOUT_MS);
    const given = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
    try {
      return new ShimClient(await Shim.dial(parseShimAddress(address), version, given));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the shim is gone, or after `close`. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  /** Fails with the shim's own status and words; a lost connection is `Unknown`, as from containerd. */
  async call<M extends ShimMethod>(
    method: M,
    request: ShimRequest<M>,
    call: ShimCall,
  ): Promise<ShimResponse<M>> {
    try {
      return await this.#connection.call(method, request, call);
    } catch (error) {
      // A shim may name a newer version than it serves; its first call shows.
      const isFirst = method === 'create' || method === 'connect';
      if (isFirst && isKind(error, 'Unimplemented') && this.#connection.downgrade())
        return this.#connection.call(method, request, call);
      throw this.#connection.isLost(error) ? new ShimGoneError(error) : error;
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** The shim went away; whether it acted on the call is not known. Kind and words are what containerd passes on. */
export class ShimGoneError extends LongshoreError {
  constructor(cause: unknown) {
    super('Unknown', 'ttrpc: closed: unknown', { cause });
    this.name = 'ShimGoneError';
  }
}

/** Removes a shim's socket file when nobody listens on it: a shim that was killed leaves it behind. */
export async function removeDeadSocket({ address }: BootstrapResult): Promise<void> {
  if (!address.startsWith('unix://')) return;
  const { path } = parseShimAddress(address);
  if (!existsSync(path)) return;
  try {
    const connection = await dialTtrpc(path);
    await connection.close();
  } catch (error) {
    // A socket that cannot be reached for another reason, such as no descriptors, may be a living shim's.
    const { cause } = error as Error;
    if (isErrno(cause, 'ECONNREFUSED')) await unlink(path).catch(() => undefined);
  }
}
