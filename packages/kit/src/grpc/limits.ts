import type { ChannelOptions } from '@grpc/grpc-js';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';

/** HTTP/2's default window of 64 KiB is what limits bulk streams: one stream gets 1 MiB, a session 16 MiB. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;
export const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

/** A trailer may carry several events, so header blocks may be larger than the default of 64 KiB. */
export const MAX_HEADER_LIST_BYTES = 1024 * 1024;

export const CHANNEL_LIMITS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc-node.flow_control_window': SESSION_WINDOW_BYTES,
  // In megabytes; must hold the session window and what is sent to slow readers, or node resets other streams. A read of a
  // blob has half of one at most.
  'grpc-node.max_session_memory': 256,
};

/**
 * How many streams a peer may cancel: at once, and per second. Node's defaults (1000 and 33), meant against strangers, end
 * the connection of a Go client that reads a blob in ranges: it cancels each read. Our peers are root, or show a certificate;
 * who need show none is held to the defaults.
 */
export const STREAM_RESETS = { streamResetBurst: 100_000, streamResetRate: 20_000 };
