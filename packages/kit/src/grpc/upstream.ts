import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import {
  type Expected,
  formatAddress,
  NO_TLS,
  parseAddresses,
  ReplicaChoice,
  requireTls,
  type TlsFiles,
  TlsIdentity,
  type Warnings,
} from '@longshore/transport';
import { Link } from './link.ts';
import { OpenStreams } from './pulse.ts';

/** A replica that takes longer to connect to is passed over while there is another. */
const PATIENCE_MS = 500;

export interface UpstreamOptions extends Expected {
  log?: Warnings | undefined;
  /** Sees each TCP connection when it is made. */
  onSocket?: ((socket: Socket) => void) | undefined;
}

export interface OpenOptions {
  /** Calls with the same key go to the same replica while that is well. */
  sticky?: string | undefined;
}

/**
 * HTTP/2 sessions to the replicas of a gRPC server, one each, for streams that are passed on without decoding. Streams
 * take turns among the replicas that are well: a stream fails with its session, the next one gets another.
 */
export class Upstream {
  readonly #links: Link[];
  readonly #choice: ReplicaChoice;
  readonly #streams = new OpenStreams();
  readonly #tls: TlsFiles;
  readonly #log: Warnings | undefined;
  #identity: TlsIdentity | undefined;

  /** `addresses`: one, or several with commas between. Throws InvalidArgument for what is none. */
  constructor(addresses: string, tls: TlsFiles = NO_TLS, options: UpstreamOptions = {}) {
    const { log, onSocket, ...expected } = options;
    const parsed = parseAddresses(addresses);
    this.#tls = tls;
    this.#log = log;
    this.#choice = new ReplicaChoice(parsed.map(formatAddress));
    this.#links = parsed.map((address, index) => {
      const identity = () => this.#openIdentity(address.kind === 'tcp' ? address.host : '');
      const asksHealth = parsed.length > 1;
      const dialling = { address, identity, expected, asksHealth, streams: this.#streams, onSocket };
      return new Link(dialling, () => this.#choice.failed(index));
    });
  }

  /** How many replicas there are. */
  get size(): number {
    return this.#links.length;
  }

  /** Opens a stream; throws the last one's error when no replica can be reached. */
  async open(headers: OutgoingHttpHeaders, { sticky }: OpenOptions = {}): Promise<ClientHttp2Stream> {
    const [only] = this.#links;
    const session =
      this.#links.length === 1 ? (only!.ready ?? (await only!.session())) : await this.#pick(sticky);
    return this.#streams.begin(session, headers);
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
    this.#identity?.close();
    this.#identity = undefined;
  }

  async #pick(sticky: string | undefined): Promise<ClientHttp2Session> {
    const order = this.#choice.order(sticky);
    let failure: unknown;
    for (const index of order) {
      const link = this.#links[index]!;
      if (link.ready) return link.ready;
      try {
        const isLast = index === order.at(-1);
        const session = await (isLast ? link.session() : impatient(link.session()));
        this.#choice.answered(index);
        return session;
      } catch (error) {
        this.#choice.failed(index);
        failure = error;
      }
    }
    throw failure;
  }

  #openIdentity(host: string): TlsIdentity {
    this.#identity ??= TlsIdentity.open(requireTls(host, this.#tls), this.#log);
    return this.#identity;
  }
}

/** What takes too long goes on, but is not waited for. */
function impatient<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('connecting takes too long')), PATIENCE_MS);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
