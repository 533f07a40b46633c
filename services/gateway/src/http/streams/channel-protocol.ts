import { invalidArgument } from '@longshore/errors';
import type { Problem } from '../problem.ts';

/**
 * What a socket of a process speaks: every message is binary, its first byte a channel, the rest what is said on it. Channels
 * are numbered as in Kubernetes' `v5.channel.k8s.io`; unlike there, JSON in both directions has this API's names.
 */
export const SUBPROTOCOL = 'v1.channel.longshore.io';

export const Channel = {
  Stdin: 0,
  Stdout: 1,
  Stderr: 2,
  /** JSON from the server: what becomes of the process. */
  Status: 3,
  /** JSON from the client: `{"width": 80, "height": 24}`. */
  Resize: 4,
  /** From the client, followed by the number of the channel that it closes: {@link Channel.Stdin}. */
  Close: 255,
} as const;

/** One message from a client, or to one, with its channel. More are refused; a process's output never comes near it. */
export const MAX_MESSAGE_BYTES = 1024 ** 2;

/** A terminal of more than this is none. */
const MAX_SIZE = 0xffff;

export type ClientMessage =
  | { kind: 'stdin'; data: Buffer }
  | { kind: 'close' }
  | { kind: 'resize'; width: number; height: number };

export type StatusMessage =
  | { type: 'started'; node: string; terminal: boolean; exec_id?: string; pid?: number }
  | { type: 'skipped'; bytes: number }
  | { type: 'exit'; exit_status: number; exited_at: string | undefined }
  | { type: 'problem'; problem: Problem };

/** Throws InvalidArgument for what the protocol does not have. */
export function parseClientMessage(message: Buffer, isBinary: boolean): ClientMessage {
  if (!isBinary) throw invalidArgument('message of text: want binary ones, which begin with a channel');
  const channel = message[0];
  const rest = message.subarray(1);
  switch (channel) {
    case Channel.Stdin:
      return { kind: 'stdin', data: rest };
    case Channel.Resize:
      return { kind: 'resize', ...parseSize(rest) };
    case Channel.Close:
      if (rest.length === 1 && rest[0] === Channel.Stdin) return { kind: 'close' };
      throw invalidArgument(`channel ${rest.join(' ')}: cannot be closed`);
    default:
      throw invalidArgument(`channel ${channel ?? 'of an empty message'}: is none of a client's`);
  }
}

export function frame(channel: number, data: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(data.length + 1);
  message[0] = channel;
  message.set(data, 1);
  return message;
}

function parseSize(json: Buffer): { width: number; height: number } {
  let size: unknown;
  try {
    size = JSON.parse(json.toString());
  } catch (error) {
    throw invalidArgument('terminal size: is no JSON', { cause: error });
  }
  const { width, height } = Object(size) as { width?: unknown; height?: unknown };
  if (isExtent(width) && isExtent(height)) return { width, height };
  throw invalidArgument(`terminal size: width and height must be whole numbers from 1 to ${MAX_SIZE}`);
}

function isExtent(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_SIZE;
}
