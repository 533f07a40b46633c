import type { Socket } from 'node:net';

/** How often connections are looked at; a look costs well under a microsecond each. */
const LOOK_EVERY_MS = 100;
/** For a while after a write that had to wait: what flows both ways may stop again with the next piece. */
const LOOK_AGAIN_MS = 5;
const LOOKS_AGAIN = 50;

/** What Node has beneath a socket, as far as it is needed here. */
interface Handle {
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
  readStart(): number;
}

const sockets = new Set<Socket>();
let isLooking = false;
let looksAgain = 0;

/**
 * Keeps a connection under HTTP/2 from standing still for ever. Node reads nothing from it while a write to it is under way
 * (nodejs/node#29399), so two ends that each write more than the kernel holds wait for one another. It is enough that one of
 * them reads on, and so the callers among longshore's parts do. What they read meanwhile is bounded by their own windows.
 */
export function keepReading(socket: Socket): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  if (isLooking) return;
  isLooking = true;
  setTimeout(look, LOOK_EVERY_MS).unref();
}

function look(): void {
  looksAgain--;
  for (const socket of sockets) {
    const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
    if (!handle || handle.writeQueueSize === 0) continue;
    // Does nothing where reading goes on. Node itself stops it again, once it has written.
    handle.readStart();
    looksAgain = LOOKS_AGAIN;
  }
  isLooking = sockets.size > 0;
  if (isLooking) setTimeout(look, looksAgain > 0 ? LOOK_AGAIN_MS : LOOK_EVERY_MS).unref();
}
