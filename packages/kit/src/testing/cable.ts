import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A way to a TCP server that can lose everything in silence. Gone after the test. */
export class Cable {
  readonly address: string;
  readonly #sockets = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];
  #isCut = false;

  private constructor(address: string) {
    this.address = address;
  }

  /** `target` is `host:port`. */
  static async to(target: string): Promise<Cable> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const cable = new Cable(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('connection', (near) => cable.#lay(near, target));
    onTestFinished(() => {
      server.close();
      for (const socket of cable.#sockets) socket.destroy();
    });
    return cable;
  }

  /** Connections stay, as those to a lost machine do, and new ones hear nothing. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** For connections that are made from then on, and those that have waited. */
  mend(): void {
    this.#isCut = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  #lay(near: Socket, target: string): void {
    this.#keep(near);
    if (this.#isCut) this.#waiting.push(() => this.#join(near, target));
    else this.#join(near, target);
  }

  #join(near: Socket, target: string): void {
    const [host = '', port] = target.split(':');
    const far = connect(Number(port), host);
    this.#keep(far);
    near.pipe(far).pipe(near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
  }
}
