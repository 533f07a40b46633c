import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { serialOf } from './peer.ts';
import type { Expected } from './server-check.ts';

/** Calls `end`, perhaps at once, when the server at the other end is revoked: {@link checkServer} looks but once. */
export function endWhenRevoked(socket: Socket, { revocations }: Expected, end: () => void): void {
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (!shown || !revocations) return;
  const serial = serialOf(shown);
  const look = () => {
    if (revocations.has(serial)) end();
  };
  socket.once('close', revocations.onChange(look));
  look();
}
