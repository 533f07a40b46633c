import { setTimeout as delay } from 'node:timers/promises';
import { Client, connectivityState as State } from '@grpc/grpc-js';
import { type Address, formatAddress } from '@longshore/transport';
import { clientOptions } from './client-options.ts';
import { isServing } from './is-serving.ts';
import type { SecureChannel } from './secure-channel.ts';

/** A server that has not answered by then is taken for away, and a new connection is begun. */
const CONNECT_TIMEOUT_MS = 3_000;

/** One that is connected and does not serve, or is too busy to say so, is asked again after this time. */
const ASK_AGAIN_MS = 1_000;

export interface LaneOptions {
  address: Address;
  secure: SecureChannel;
  /** Uses a server only when it says that it serves. */
  asksHealth: boolean;
  pingEveryMs: number | undefined;
}

/** The way to one replica. It keeps itself connected from its first use until it is closed. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #onChange: () => void;
  #client: Client;
  #isWatched = false;
  #isUsable = false;
  #isHopeless = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onChange` hears when the lane can be used, cannot be any more, or will not be soon. */
  constructor(options: LaneOptions, onChange: () => void) {
    this.#options = options;
    this.#onChange = onChange;
    this.#client = this.#newClient();
  }

  /** The connection as it is now; calls fail at once while it is broken. */
  get client(): Client {
    return this.#client;
  }

  /** The server is there, and serves. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** The last attempt to connect has failed, and none has succeeded since. */
  get isHopeless(): boolean {
    return this.#isHopeless;
  }

  /** Calls fail now without being sent, with the reason. */
  get isRefused(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === State.TRANSIENT_FAILURE;
  }

  /** Connects, if it has not begun to. */
  wake(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#watch(this.#client);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#client.close();
  }

  #newClient(): Client {
    const { address, secure, pingEveryMs } = this.#options;
    const credentials = secure.credentialsFor(address);
    return new Client(targetOf(address), credentials, clientOptions(address, pingEveryMs));
  }

  #watch(client: Client): void {
    if (this.#isClosed || client !== this.#client) return;
    const channel = client.getChannel();
    const state = channel.getConnectivityState(true);
    this.#became(state, client);
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#watch(client));
  }

  #became(state: State, client: Client): void {
    if (state === State.CONNECTING) {
      this.#timer ??= setTimeout(() => this.#beginAnew(), CONNECT_TIMEOUT_MS).unref();
      this.#set(false, this.#isHopeless);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (state !== State.READY) this.#set(false, state === State.TRANSIENT_FAILURE || this.#isHopeless);
    else if (this.#options.asksHealth) void this.#ask(client);
    else this.#set(true, false);
  }

  async #ask(client: Client): Promise<void> {
    const isCurrent = () =>
      client === this.#client && client.getChannel().getConnectivityState(false) === State.READY;
    while (!this.#isClosed && isCurrent()) {
      const serves = await isServing(client);
      if (this.#isClosed || !isCurrent()) return;
      this.#set(serves, !serves);
      if (serves) return;
      await delay(ASK_AGAIN_MS, undefined, { ref: false });
    }
  }

  /** grpc-js leaves a connection to a silent host to the kernel, which tries for minutes. */
  #beginAnew(): void {
    this.#timer = undefined;
    this.#client.close();
    this.#client = this.#newClient();
    this.#set(false, true);
    this.#watch(this.#client);
  }

  #set(isUsable: boolean, isHopeless: boolean): void {
    if (this.#isUsable === isUsable && this.#isHopeless === isHopeless) return;
    this.#isUsable = isUsable;
    this.#isHopeless = isHopeless;
    this.#onChange();
  }
}

function targetOf(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : formatAddress(address);
}
