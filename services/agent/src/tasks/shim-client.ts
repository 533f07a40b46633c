import { unlink } from 'node:fs/promises';
import { isKind, LongshoreError, unimplemented } from '@longshore/errors';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import {
  createTtrpcClient,
  dialTtrpc,
  type TtrpcClient,
  TtrpcClosedError,
  type TtrpcConnection,
} from '@longshore/ttrpc';
import type { BootstrapResult } from './bootstrap-result.ts';

/** Version 2 of the task service has the messages of version 3 under another name, number for number. */
const TASK_V2 = 'containerd.task.v2.Task';
const UNIX = 'unix://';

type TaskClient = TtrpcClient<typeof Task>;
export type ShimMethod = keyof TaskClient;
type Request<M extends ShimMethod> = Parameters<TaskClient[M]>[0];
type Response<M extends ShimMethod> = Awaited<ReturnType<TaskClient[M]>>;

/** Who calls: the namespace and the trace go with every call. */
export interface ShimCall {
  namespace: string;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  /** `traceparent` and the like. */
  traceHeaders?: Readonly<Record<string, string>> | undefined;
}

/** The task service of one shim, over a connection of its own. */
export class ShimClient {
  readonly #connection: TtrpcConnection;
  #task: TaskClient;
  #version: number;

  private constructor(connection: TtrpcConnection, { version }: BootstrapResult) {
    this.#connection = connection;
    this.#version = version;
    this.#task = taskClient(connection, version);
  }

  /** Fails with `Unavailable` when nobody listens there. */
  static async dial(bootstrap: BootstrapResult, signal?: AbortSignal): Promise<ShimClient> {
    if (bootstrap.protocol !== 'ttrpc') throw unimplemented(`shim protocol ${bootstrap.protocol}`);
    const connection = await dialTtrpc(socketName(bootstrap.address), signal ? { signal } : {});
    return new ShimClient(connection, bootstrap);
  }

  /** Resolves when the shim is gone, or after `close`. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  /** Fails with the shim's own status and words; a lost connection is `Unknown`, as from containerd. */
  async call<M extends ShimMethod>(method: M, request: Request<M>, call: ShimCall): Promise<Response<M>> {
    try {
      return await this.#send(method, request, call);
    } catch (error) {
      if (isKind(error, 'Unimplemented') && this.#downgrade(method)) return this.#send(method, request, call);
      throw error instanceof TtrpcClosedError ? new ShimGoneError(error) : error;
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #send<M extends ShimMethod>(method: M, request: Request<M>, call: ShimCall): Promise<Response<M>> {
    const { namespace, signal, timeoutMs, traceHeaders } = call;
    const metadata = { 'containerd-namespace-ttrpc': namespace, ...traceHeaders };
    const send = this.#task[method] as (request: Request<M>, options: object) => Promise<Response<M>>;
    return await send(request, { signal, timeoutMs, metadata });
  }

  /** A shim may name a newer version than it serves; its first call shows. */
  #downgrade(method: ShimMethod): boolean {
    if (this.#version < 3 || (method !== 'create' && method !== 'connect')) return false;
    this.#version = 2;
    this.#task = taskClient(this.#connection, 2);
    return true;
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
  if (!address.startsWith(UNIX)) return;
  const path = socketName(address);
  try {
    const connection = await dialTtrpc(path);
    await connection.close();
  } catch {
    // Gone already, as a rule.
    await unlink(path).catch(() => undefined);
  }
}

function taskClient(connection: TtrpcConnection, version: number): TaskClient {
  return createTtrpcClient(Task, connection, version < 3 ? { serviceName: TASK_V2 } : {});
}

/** An address without a scheme is a name in the abstract socket space. */
function socketName(address: string): string {
  if (address.startsWith(UNIX)) return address.slice(UNIX.length);
  if (address.includes('://')) throw unimplemented(`shim address ${address}`);
  return `\0${address}`;
}
