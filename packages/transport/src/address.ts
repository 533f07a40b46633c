import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { failedPrecondition, invalidArgument } from '@longshore/errors';

/** The kernel's limit for a unix socket's path, in bytes (sun_path, less the closing NUL). */
const MAX_SOCKET_PATH_BYTES = 107;

/** Other failures do not say so: a busy listener's full queue fails a connect too. */
const NOBODY_LISTENS: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ENOENT']);

export type Address = { kind: 'unix'; path: string } | { kind: 'tcp'; host: string; port: number };

/** `unix:///path` or `host:port`. */
export function parseAddress(text: string): Address {
  if (!text.startsWith('unix://')) return { kind: 'tcp', ...splitHostPort(text) };
  const path = text.slice('unix://'.length);
  if (!path.startsWith('/'))
    throw invalidArgument(`address ${JSON.stringify(text)}: the path must be absolute`);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw invalidArgument(
      `address ${JSON.stringify(text)}: a unix socket's path holds at most ${MAX_SOCKET_PATH_BYTES} bytes; ` +
        'choose a shorter LONGSHORE_STATE',
    );
  }
  return { kind: 'unix', path };
}

/**
 * A list with commas between, e.g. of the replicas of a service: `host:port,host:port` or `unix:///a,unix:///b`.
 * Throws InvalidArgument for an empty list.
 */
export function parseAddresses(text: string): Address[] {
  return text.split(',').map((part) => parseAddress(part.trim()));
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix://${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

export function splitHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw invalidArgument(`address ${JSON.stringify(text)}: want host:port`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/**
 * Makes a socket path free to listen on: its directory is there (0700 when it has to be made), and the socket that
 * a killed process left is removed.
 * Throws FailedPrecondition when something answers on it, or it is no socket.
 */
export async function claimSocketPath(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket())
    throw failedPrecondition(`socket ${JSON.stringify(path)}: a file that is no socket is there`);
  if (await isListenedOn(path)) {
    throw failedPrecondition(`socket ${JSON.stringify(path)}: another process listens there`);
  }
  rmSync(path, { force: true });
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(!NOBODY_LISTENS.has(error.code)));
  });
}

let bindsUnderWay = 0;
let maskBefore = 0;

/**
 * Runs `bind` so that a socket it makes is for its owner only from its first moment (0600). The mask is the whole
 * process's: use it at start, before work that makes other files.
 */
export async function bindPrivately<T>(bind: () => Promise<T>): Promise<T> {
  if (bindsUnderWay++ === 0) maskBefore = process.umask(0o177);
  try {
    return await bind();
  } finally {
    if (--bindsUnderWay === 0) process.umask(maskBefore);
  }
}
