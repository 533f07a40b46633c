import type { ChannelOptions } from '@grpc/grpc-js';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';
import { type Address, SERVER_NAME } from '@longshore/transport';

/** HTTP/2's default of 64 KiB limits bulk streams. */
const WINDOW_BYTES = 16 * 1024 * 1024;

const COMMON: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  // No limit: what we send counts, and a hundred blobs on their way would end the calls beside them.
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  // A peer that restarts is back within a second; do not wait out the default of 20 s.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.enable_http_proxy': 0,
};

/** A peer on this machine that is stopped ends its streams within this. */
const LOCAL: ChannelOptions = {
  ...COMMON,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

/** A machine that is lost without a word is noticed five seconds after a ping: a busy one gets so long to answer. */
const REMOTE: ChannelOptions = {
  ...COMMON,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.ssl_target_name_override': SERVER_NAME,
  'grpc.default_authority': SERVER_NAME,
  // Each channel may begin anew by itself.
  'grpc.use_local_subchannel_pool': 1,
};

/** `pingEveryMs`: how often a server on another machine is asked for a sign of life. */
export function clientOptions(address: Address, pingEveryMs = 1_000): ChannelOptions {
  return address.kind === 'unix' ? LOCAL : { ...REMOTE, 'grpc.keepalive_time_ms': pingEveryMs };
}
