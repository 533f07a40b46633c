import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { parseIdentifier } from '@longshore/oci';
import { Header } from '@longshore/proto/headers';
import { type CallOptions, Channel, createClient, type ServiceClient } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';
import { type Endpoints, parseEndpoints } from './address.ts';
import type { ClientTls, ConnectionOptions, ScopeOptions } from './options.ts';
import { mayBeLimited } from './waiting-calls.ts';

const DEFAULT_NAMESPACE = 'default';
const DEFAULT_OUTAGE_MS = 30_000;
const DEFAULT_FIFO_DIRECTORY = '/run/containerd/fifo';

/** Whom the certificate of a server on TCP must name: users reach a fleet by its gateways only. */
const GATEWAY = 'service/gateway';

/**
 * The way to a containerd, a longshore node, or a fleet's gateways, and the scope that calls mean there. It connects with the first call
 * and again by itself. Views of it for other scopes share its channel, which the first one's `close` ends.
 */
export class Connection implements Disposable {
  readonly #endpoints: Endpoints;
  readonly #options: ConnectionOptions;
  readonly #channel: Channel;
  readonly #services = new Map<DescService, unknown>();

  /**
   * `address`: `unix:///path` or a path; `host:port` of a gateway, several with commas between. Throws InvalidArgument for what is no
   * address or no namespace, FailedPrecondition for TCP without the files that it needs.
   */
  constructor(address: string, options: ConnectionOptions = {}, channel?: Channel) {
    parseIdentifier(options.namespace ?? DEFAULT_NAMESPACE, 'namespace');
    this.#endpoints = parseEndpoints(address);
    this.#options = options;
    this.#channel = channel ?? openChannel(this.#endpoints, options);
  }

  get address(): string {
    return this.#endpoints.address;
  }

  /** Whether the other side sees this machine's files, e.g. FIFOs. */
  get isLocal(): boolean {
    return this.#endpoints.isLocal && this.#options.sharesFiles !== false;
  }

  get namespace(): string {
    return this.#options.namespace ?? DEFAULT_NAMESPACE;
  }

  /** Undefined where there is but one, or none is meant. */
  get node(): string | undefined {
    return this.#options.node;
  }

  get lease(): string | undefined {
    return this.#options.lease;
  }

  get outageMs(): number {
    return this.#options.outageMs ?? DEFAULT_OUTAGE_MS;
  }

  get fifoDirectory(): string {
    return this.#options.fifoDirectory ?? DEFAULT_FIFO_DIRECTORY;
  }

  /** A view of another scope; what of it is not given stays as it is. */
  in(scope: ScopeOptions): Connection {
    return new Connection(...this.viewOf(scope));
  }

  /** The calls of one service, as the .proto file has them, in this scope; options of a call go before those of the connection. */
  service<S extends DescService>(service: S): ServiceClient<S> {
    const known = this.#services.get(service) as ServiceClient<S> | undefined;
    if (known) return known;
    const made = createClient(service, this.#channel, (method, options) => this.#prepare(method, options));
    this.#services.set(service, made);
    return made;
  }

  /** Resolves once the server is reached; throws Unavailable when it cannot be. Calls connect by themselves. */
  async connect(): Promise<void> {
    await this.#channel.connect();
  }

  /** Ends the channel, for all views: calls under way are Canceled. */
  close(): void {
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** What a view of another scope is made of. */
  protected viewOf(scope: ScopeOptions): [address: string, options: ConnectionOptions, channel: Channel] {
    return [this.address, { ...this.#options, ...scope }, this.#channel];
  }

  #prepare(method: DescMethod, options: CallOptions): CallOptions | Promise<CallOptions> {
    const { token, timeoutMs } = this.#options;
    const prepared: CallOptions = { ...options, headers: { ...this.#headers(), ...options.headers } };
    if (timeoutMs !== undefined && options.deadline === undefined && mayBeLimited(method)) {
      prepared.deadline = new Date(Date.now() + timeoutMs);
    }
    if (token === undefined || this.#endpoints.isLocal) return prepared;
    if (typeof token === 'string') return withToken(prepared, token);
    return Promise.resolve(token()).then((current) => withToken(prepared, current));
  }

  #headers(): Record<string, string> {
    const { node, lease, headers } = this.#options;
    return {
      ...headers,
      [Header.Namespace]: this.namespace,
      ...(node !== undefined && { [Header.Node]: node }),
      ...(lease !== undefined && { [Header.Lease]: lease }),
    };
  }
}

function openChannel({ address }: Endpoints, options: ConnectionOptions): Channel {
  const { tls, token, log, onCall } = options;
  return new Channel(address, tls && filesOf(tls), {
    expect: GATEWAY,
    isAnonymous: token !== undefined,
    log,
    onCall,
  });
}

function filesOf({ ca, cert = '', key = '' }: ClientTls): TlsFiles {
  return { tlsCa: ca, tlsCert: cert, tlsKey: key };
}

function withToken(options: CallOptions, token: string): CallOptions {
  return { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` } };
}
