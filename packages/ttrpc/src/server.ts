import { once } from 'node:events';
import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import { type MethodHandlers, methodHandlers } from './method-handler.ts';
import { ServerConnection } from './server-connection.ts';
import type { ServiceImpl } from './service.ts';

/** How long `close()` waits for calls under way. */
const CLOSE_GRACE_MS = 2_000;

export interface ServerOptions {
  /** Whether the peer of a connection, its file descriptor, may call; every one by default. */
  admit?: (fd: number) => boolean;
}

/**
 * A ttrpc server on a unix socket. States: made → listening → closed. The socket gets mode 0600, and its directory is
 * the owner's to protect; a connection that `admit` refuses is closed without a word.
 */
export class TtrpcServer implements AsyncDisposable {
  readonly #services = new Map<string, MethodHandlers>();
  readonly #connections = new Map<Socket, ServerConnection>();
  readonly #server: Server;
  readonly #admit: (fd: number) => boolean;

  constructor({ admit = () => true }: ServerOptions = {}) {
    this.#admit = admit;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  add<S extends DescService>(service: S, impl: ServiceImpl<S>): this {
    this.#services.set(service.typeName, methodHandlers(service, impl));
    return this;
  }

  /** Takes over a socket file that nobody listens on any more; fails with EADDRINUSE when somebody does. */
  async listen(path: string): Promise<void> {
    if (await isStale(path)) await unlink(path);
    this.#server.listen(path);
    await once(this.#server, 'listening');
    await chmod(path, 0o600);
  }

  /** Refuses new connections, lets calls under way finish for a moment, and removes the socket file. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections.values()) connection.finish();
    const timer = setTimeout(() => {
      for (const connection of this.#connections.values()) connection.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(socket: Socket): void {
    if (!this.#admit(descriptorOf(socket))) {
      socket.destroy();
      return;
    }
    this.#connections.set(socket, new ServerConnection(socket, this.#services));
    socket.once('close', () => this.#connections.delete(socket));
  }
}

export function createTtrpcServer(options?: ServerOptions): TtrpcServer {
  return new TtrpcServer(options);
}

/** Node shows it nowhere else. -1 for a socket that is gone already. */
function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}

async function isStale(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}
