import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { DescService } from '@bufbuild/protobuf';
import { isKind, unavailable } from '@longshore/errors';
import { type Opener, Upstream, type UpstreamOptions } from '@longshore/kit';
import { Health } from '@longshore/proto/grpc/health/v1/health';
import { type Node, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';

/** A node that the registry has given up, and that we have not reached either, is tried again after this time. */
const TRY_AGAIN_MS = 5_000;
/** An agent that is well says so at once. */
const HEALTH_TIMEOUT_MS = 2_000;

/** The way to a node's agent: to one address, connected on first use. */
export class NodeConnection implements Opener {
  readonly id: string;
  readonly address: string;
  readonly #upstream: Upstream;
  readonly #tls: TlsFiles;
  readonly #options: UpstreamOptions;
  #channel: Channel | undefined;
  #state: NodeState;
  #lostAt: number | undefined;
  #isConnected = false;

  constructor(
    { id, address, state }: Pick<Node, 'id' | 'address' | 'state'>,
    tls: TlsFiles,
    expected: Pick<UpstreamOptions, 'revocations' | 'log'>,
  ) {
    this.id = id;
    this.address = address;
    this.#state = state;
    this.#tls = tls;
    this.#options = { ...expected, expect: `node/${id}` };
    this.#upstream = new Upstream(address, tls, this.#options);
  }

  /** What the registry says now. */
  update(state: NodeState): void {
    this.#state = state;
  }

  /** Whether the registry has not heard of it for long. */
  get isAway(): boolean {
    return this.#state === NodeState.UNREACHABLE;
  }

  /** Whether it is away by the registry's word, and by what was tried last. */
  get isLost(): boolean {
    return this.isAway && this.#lostAt !== undefined;
  }

  /** Throws Unavailable, at once, for a node that is lost. From time to time it is tried again meanwhile. */
  requireReachable(): void {
    if (!this.isLost) return;
    if (Date.now() - (this.#lostAt ?? 0) >= TRY_AGAIN_MS) void this.answers();
    throw unavailable(`node ${JSON.stringify(this.id)}: it does not answer, and sends no heartbeats`);
  }

  /** Whether the agent is there, whatever it can do just now. */
  async answers(): Promise<boolean> {
    // Nobody else needs to try while this is under way.
    if (this.#lostAt !== undefined) this.lost();
    try {
      await this.client(Health).check({}, { deadline: new Date(Date.now() + HEALTH_TIMEOUT_MS) });
    } catch (error) {
      if (isKind(error, 'Unavailable', 'DeadlineExceeded')) {
        this.lost();
        return false;
      }
    }
    this.heard();
    return true;
  }

  /** Opens a stream for a call that is passed on. Throws the socket's error when the agent is not reached. */
  async open(headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream> {
    try {
      const stream = await this.#upstream.open(headers);
      this.heard();
      return stream;
    } catch (error) {
      this.lost();
      throw error;
    }
  }

  /** For calls of this process's own. */
  client<S extends DescService>(service: S): ServiceClient<S> {
    return createClient(service, this.#ownChannel());
  }

  /** Whether {@link connect} has nothing to do, as far as is known. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Resolves once calls of {@link client} have nothing to wait for but their answers. Throws Unavailable. */
  async connect(): Promise<void> {
    await this.#ownChannel().connect();
    this.#isConnected = true;
  }

  heard(): void {
    this.#lostAt = undefined;
  }

  lost(): void {
    this.#isConnected = false;
    this.#lostAt = Date.now();
  }

  #ownChannel(): Channel {
    this.#channel ??= new Channel(this.address, this.#tls, this.#options);
    return this.#channel;
  }

  async close(): Promise<void> {
    this.#channel?.close();
    await this.#upstream.close();
  }
}
