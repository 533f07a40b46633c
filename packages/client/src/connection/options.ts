import type { OnCall, Warnings } from '@longshore/rpc';

/** Paths of PEM files. */
export interface ClientTls {
  /** The certificate authorities of the fleet. */
  ca: string;
  /** With `key`, who calls; both may be left out by a caller who has a token. */
  cert?: string | undefined;
  key?: string | undefined;
}

/** A bearer token, or what gives one for each call, e.g. one that is renewed. */
export type Token = string | (() => string | Promise<string>);

/** Which records a client's calls mean. */
export interface ScopeOptions {
  /** Default `default`. */
  namespace?: string | undefined;
  /** At a fleet's gateway: the node whose records are meant; `_` for the fleet's own. A node's socket has but one node. */
  node?: string | undefined;
  /** Keeps what calls make from the garbage collector. */
  lease?: string | undefined;
}

export interface ConnectionOptions extends ScopeOptions {
  /** For TCP. */
  tls?: ClientTls | undefined;
  /** Sent over TCP only: on a socket the caller is whoever may open it. */
  token?: Token | undefined;
  /** Calls that only ask or change a record end with DeadlineExceeded after this time; none by default. */
  timeoutMs?: number | undefined;
  /** False for a gateway's socket: whoever is behind it does not see this machine's files. Default true for sockets. */
  sharesFiles?: boolean | undefined;
  /** How long a server may be away before those who wait for a process hear of it; its restart they do not. Default 30,000. */
  outageMs?: number | undefined;
  /** Where fifos are made, on one machine with the server. Default `/run/containerd/fifo`, as containerd's own clients have it. */
  fifoDirectory?: string | undefined;
  /** Put to each call. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Hears of TLS files that are no good. */
  log?: Warnings | undefined;
  /** Hears of each call when it begins. */
  onCall?: OnCall | undefined;
}
