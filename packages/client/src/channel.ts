import { readFileSync } from 'node:fs';
import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';

/** HTTP/2's default of 64 KiB limits bulk streams. */
const WINDOW_BYTES = 16 * 1024 * 1024;

/** Paths of PEM files; empty when not configured. */
export interface ChannelTls {
  tlsCert: string;
  tlsKey: string;
  tlsCa: string;
}

/**
 * A connection to a gRPC server: `unix:///path`, or `host:port` with TLS. It connects on first use and
 * reconnects by itself.
 */
export class Channel {
  /** Used by {@link createClient} only. */
  readonly raw: Client;

  constructor(address: string, tls?: ChannelTls) {
    const isUnix = address.startsWith('unix://');
    const target = isUnix ? `unix:${address.slice('unix://'.length)}` : address;
    this.raw = new Client(target, isUnix ? credentials.createInsecure() : secure(tls), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc-node.flow_control_window': WINDOW_BYTES,
      'grpc-node.max_session_memory': 64,
      // A peer that restarts is back within a second; do not wait out the default of 20 s.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      // A peer that is lost without a word ends its streams within this.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.enable_http_proxy': 0,
    });
  }

  close(): void {
    this.raw.close();
  }
}

function secure(tls: ChannelTls | undefined): ChannelCredentials {
  const read = (path: string | undefined) => (path ? readFileSync(path) : null);
  return credentials.createSsl(read(tls?.tlsCa), read(tls?.tlsKey), read(tls?.tlsCert));
}
