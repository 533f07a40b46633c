/** One gRPC message, each way. Source: containerd defaults/defaults.go. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/**
 * The payload of one event: what is sure to fit, base64 and decoded form included, into a NATS message of 1 MiB. Checked
 * wherever an event comes in: one that the stream cannot take would hold up all behind it.
 */
export const MAX_EVENT_PAYLOAD_BYTES = 512 * 1024;
