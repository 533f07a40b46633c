import { once } from 'node:events';
import { connect } from 'node:net';
import { messageOf, unavailable } from '@longshore/errors';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import {
  createTtrpcClient,
  dialTtrpc,
  type TtrpcClient,
  TtrpcClosedError,
  TtrpcConnection,
} from '@longshore/ttrpc';
import type { ShimAddress } from './shim-address.ts';
import type { ShimCall, ShimConnection, ShimMethod, ShimRequest, ShimResponse } from './shim-connection.ts';

/** Version 2 of the task service has the messages of version 3 under another name, number for number. */
const TASK_V2 = 'containerd.task.v2.Task';

/** A shim that speaks ttrpc, as most do. */
export class TtrpcShim implements ShimConnection {
  readonly #connection: TtrpcConnection;
  #task: TtrpcClient<typeof Task>;
  #version: number;

  private constructor(connection: TtrpcConnection, version: number) {
    this.#connection = connection;
    this.#version = version;
    this.#task = taskClient(connection, version);
  }

  /** Fails with `Unavailable` when nobody listens there. */
  static async dial(address: ShimAddress, version: number, signal?: AbortSignal): Promise<TtrpcShim> {
    const connection =
      address.kind === 'unix'
        ? await dialTtrpc(address.path, signal ? { signal } : {})
        : await dialHybrid(address.path, address.port, signal);
    return new TtrpcShim(connection, version);
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  async call<M extends ShimMethod>(
    method: M,
    request: ShimRequest<M>,
    { namespace, signal, timeoutMs, traceHeaders }: ShimCall,
  ): Promise<ShimResponse<M>> {
    const metadata = { 'containerd-namespace-ttrpc': namespace, ...traceHeaders };
    const send = this.#task[method] as (request: ShimRequest<M>, options: object) => Promise<ShimResponse<M>>;
    return await send(request, { signal, timeoutMs, metadata });
  }

  isLost(error: unknown): boolean {
    return error instanceof TtrpcClosedError;
  }

  downgrade(): boolean {
    if (this.#version < 3) return false;
    this.#version = 2;
    this.#task = taskClient(this.#connection, 2);
    return true;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

function taskClient(connection: TtrpcConnection, version: number): TtrpcClient<typeof Task> {
  return createTtrpcClient(Task, connection, version < 3 ? { serviceName: TASK_V2 } : {});
}

/** Asks a virtual machine's monitor for a port inside. Source: containerd pkg/shim/util_unix.go, Firecracker's vsock.md. */
async function dialHybrid(path: string, port: number, signal?: AbortSignal): Promise<TtrpcConnection> {
  const socket = connect({ path, ...(signal && { signal }) });
  try {
    await once(socket, 'connect', { signal });
    socket.write(`CONNECT ${port}\n`);
    // It answers a line, and nothing more before it is called.
    const [answer] = (await once(socket, 'data', { signal })) as [Buffer];
    if (!answer.toString().startsWith('OK')) throw new Error(`answer ${JSON.stringify(answer.toString())}`);
    return new TtrpcConnection(socket);
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw unavailable(`shim: dial ${path} port ${port}: ${messageOf(error)}`, { cause: error });
  }
}
