import type { Socket } from 'node:net';
import { Client, connectivityState as State } from '@grpc/grpc-js';
import { unavailable } from '@longshore/errors';
import {
  type Expected,
  formatAddress,
  NO_TLS,
  parseAddresses,
  ReplicaChoice,
  type TlsFiles,
  type Warnings,
} from '@longshore/transport';
import { clientOptions } from './client-options.ts';
import { Lane } from './lane.ts';
import { SecureChannel } from './secure-channel.ts';

/** A first use waits so long for a replica; when it has, calls fail at once until one is there. */
const CONNECT_TIMEOUT_MS = 3_000;

export interface ChannelOptions extends Expected {
  log?: Warnings | undefined;
  /** Hears of each call when it begins. */
  onCall?: OnCall | undefined;
  /** Sees each TCP connection when it is made. */
  onSocket?: ((socket: Socket) => void) | undefined;
  /** How often a server on another machine is asked for a sign of life; for many that call one, seldom. Default 1,000. */
  pingEveryMs?: number | undefined;
  /** Calls carry a token: over TCP the authorities' file is enough. */
  isAnonymous?: boolean | undefined;
}

/** `service` is the full name, e.g. `containerd.services.images.v1.Images`. */
export type OnCall = (service: string, method: string) => void;

/** Where one call goes. */
export interface Target {
  readonly client: Client;
}

/**
 * The connections to a gRPC server or its replicas: `unix:///path`, or `host:port` with TLS, or several with commas
 * between. It connects on first use and reconnects by itself; calls take turns among the replicas that serve.
 */
export class Channel {
  /** For {@link createClient}. */
  readonly onCall: OnCall;
  /** Whom it reaches, for messages, e.g. `service "content"`; empty when it is not said. */
  readonly server: string;
  readonly #addresses: string;
  readonly #secure: SecureChannel;
  readonly #choice: ReplicaChoice;
  readonly #lanes: Lane[];
  /** One on this machine: nothing to choose, and the kernel says at once when it is away. */
  readonly #only: Target | undefined;
  #connecting: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  /** Throws InvalidArgument for what is no address, FailedPrecondition for TCP without TLS files. */
  constructor(addresses: string, tls: TlsFiles = NO_TLS, options: ChannelOptions = {}) {
    const { log, onCall, onSocket, pingEveryMs, isAnonymous, ...expected } = options;
    this.onCall = onCall ?? (() => undefined);
    this.server = (expected.expect ?? '').replace(/^([^/]+)\/(.*)$/, '$1 "$2"');
    const parsed = parseAddresses(addresses);
    const [first] = parsed;
    this.#addresses = parsed.map(formatAddress).join(',');
    this.#secure = new SecureChannel(tls, expected, { log, onSocket, isAnonymous });
    this.#choice = new ReplicaChoice(parsed.map(formatAddress));
    this.#lanes = [];
    if (parsed.length === 1 && first?.kind === 'unix') {
      this.#only = {
        client: new Client(`unix:${first.path}`, this.#secure.credentialsFor(first), clientOptions(first)),
      };
      return;
    }
    const wakeUp = () => {
      for (const wake of this.#waiting) wake();
    };
    const common = { secure: this.#secure, asksHealth: parsed.length > 1, pingEveryMs };
    this.#lanes = parsed.map((address) => new Lane({ ...common, address }, wakeUp));
  }

  /** How many replicas there are. */
  get size(): number {
    return Math.max(1, this.#lanes.length);
  }

  /**
   * For {@link createClient}: the replica whose turn it is, of those that were not tried. Throws Unavailable when none
   * can be reached.
   */
  target(tried?: ReadonlySet<Target>): Target | Promise<Target> {
    if (this.#only) return this.#only;
    for (const lane of this.#lanes) lane.wake();
    const order = this.#choice.order().map((index) => this.#lanes[index]!);
    const left = order.filter((lane) => !tried?.has(lane));
    return left.find((lane) => lane.isUsable) ?? this.#await(left);
  }

  /** Resolves once a call finds a server connected, or fails at once. Throws Unavailable when no replica can be reached. */
  async connect(): Promise<void> {
    if (!this.#only) {
      await this.target();
      return;
    }
    this.#connecting ??= this.#connect(this.#only.client);
    await this.#connecting;
  }

  close(): void {
    this.#only?.client.close();
    for (const lane of this.#lanes) lane.close();
    this.#secure.close();
    for (const wake of this.#waiting) wake();
  }

  async #connect(client: Client): Promise<void> {
    const channel = client.getChannel();
    let state = channel.getConnectivityState(true);
    while (state === State.IDLE || state === State.CONNECTING) {
      const { promise, resolve } = Promise.withResolvers<void>();
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => resolve());
      await promise;
      state = channel.getConnectivityState(true);
    }
    this.#connecting = undefined;
  }

  async #await(lanes: Lane[]): Promise<Target> {
    const deadline = performance.now() + CONNECT_TIMEOUT_MS;
    for (;;) {
      const usable = lanes.find((lane) => lane.isUsable);
      if (usable) return usable;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || lanes.every((lane) => lane.isHopeless)) break;
      await this.#changed(leftMs);
    }
    // Its call fails at once, and says why.
    const refused = lanes.find((lane) => lane.isRefused);
    if (refused) return refused;
    throw unavailable(`No connection established to any of ${this.#addresses}`);
  }

  #changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiting.add(wake);
    });
  }
}
