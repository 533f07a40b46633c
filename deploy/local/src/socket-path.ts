import { invalidArgument } from '@longshore/errors';

/** The kernel's limit for a unix socket's path, in bytes (sun_path, less the closing NUL). */
export const MAX_SOCKET_PATH_BYTES = 107;

export function fitsSocketPath(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;
}

/** Throws InvalidArgument when a unix socket cannot have this path; Node would say no more than EINVAL. */
export function checkSocketPath(path: string): void {
  if (fitsSocketPath(path)) return;
  throw invalidArgument(
    `socket path "${path}" has ${Buffer.byteLength(path)} bytes, a unix socket's holds at most ` +
      `${MAX_SOCKET_PATH_BYTES}; choose a shorter directory`,
  );
}
