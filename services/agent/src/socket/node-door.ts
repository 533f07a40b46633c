import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { unimplemented } from '@longshore/errors';
import {
  bindPrivately,
  claimSocketPath,
  endWithError,
  type Logger,
  MAX_HEADER_LIST_BYTES,
  parseAddress,
  passOn,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  type Upstream,
} from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { type Owner, ownerOf } from './routes.ts';

export interface NodeDoorOptions {
  nodeId: string;
  upstreams: Record<Owner, Upstream>;
  /** Binary envelopes of events that a call through this door caused. */
  onEvents(envelopes: Uint8Array[]): void;
  log: Logger;
}

/**
 * The one way into a node's scope: containerd's API as raw HTTP/2, passed to whoever owns each service. Every call
 * gets the node's own scope, whatever its caller says.
 */
export class NodeDoor {
  readonly #options: NodeDoorOptions;
  readonly #servers: Http2Server[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(options: NodeDoorOptions) {
    this.#options = options;
  }

  /** Listens on a unix socket, in addition to those before; `address` is `unix:///path`. */
  async listen(address: string): Promise<void> {
    const { path } = parseAddress(address) as { path: string };
    await claimSocketPath(path);
    const server = createServer({
      settings: { initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
      maxSessionMemory: 64,
    });
    server.on('session', (session) => this.#keep(session));
    server.on('stream', (stream, headers) => this.#route(stream, headers));
    server.on('sessionError', (error) =>
      this.#options.log.debug({ err: error }, 'session of the node socket broke'),
    );
    await bindPrivately(
      () => new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve)),
    );
    this.#servers.push(server);
  }

  /** Takes no new calls, lets those in flight end, and cuts what is left after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    for (const session of this.#sessions) session.close();
    const cut = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
    }, timeoutMs);
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    clearTimeout(cut);
  }

  #keep(session: ServerHttp2Session): void {
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.on('error', (error) =>
      this.#options.log.debug({ err: error }, 'session of the node socket broke'),
    );
  }

  #route(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A broken stream has ended for both sides by the time that this is heard; nobody is left to tell.
    stream.on('error', (error) => this.#options.log.debug({ err: error }, 'call of the node socket broke'));
    const path = String(headers[':path']);
    const owner = ownerOf(path);
    if (owner === undefined) {
      endWithError(stream, unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`));
      return;
    }
    const name = owner === 'agent' ? 'agent' : `service ${JSON.stringify(owner)}`;
    const { nodeId, upstreams } = this.#options;
    void passOn(stream, headers, {
      name,
      upstream: upstreams[owner],
      headers: { [Header.Node]: nodeId },
      takeTrailers: (trailers) => this.#takeEvents(trailers),
    });
  }

  /** The values of a repeated binary header are joined by commas, which base64 does not use. */
  #takeEvents(trailers: IncomingHttpHeaders): void {
    const value = trailers[Header.EventBin];
    if (value === undefined) return;
    delete trailers[Header.EventBin];
    const parts = [value].flat().flatMap((part) => part.split(','));
    this.#options.onEvents(parts.map((part) => Buffer.from(part.trim(), 'base64')));
  }
}
