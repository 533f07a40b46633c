import type { Socket } from 'node:net';
import { setTcpUserTimeout } from '@longshore/linux';

/**
 * Kernels acknowledge what comes at once, also those of machines that are busy: one that has not for so long, in
 * milliseconds, is lost, or the way to it.
 */
const LOST_AFTER_MS = 3_000;

/** All nodes have connections to each service: where the kernel tells of a lost link, what is left is a process that hangs. */
export const PING_EVERY_MS = 5_000;

/** Ends a connection that loses what is sent to it: calls fail then, instead of after a ping that is not answered. */
export function noticeLostLink(socket: Socket): void {
  // Closed meanwhile when there is no handle. Node has no option of its own for this.
  const { _handle: handle } = socket as { _handle?: { fd: number } | null };
  if (handle) setTcpUserTimeout(handle.fd, LOST_AFTER_MS);
}
