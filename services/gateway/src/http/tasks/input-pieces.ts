/**
 * Node reads nothing from an HTTP/2 connection while a write to it is under way (nodejs/node#29399). Two ends that each write more than
 * the socket takes wait for one another for ever, and so a process must not get input in large messages while it writes.
 */
const PIECE_BYTES = 32 * 1024;

export function* inputPieces(data: Buffer): Generator<Buffer> {
  for (let start = 0; start < data.length; start += PIECE_BYTES)
    yield data.subarray(start, start + PIECE_BYTES);
}
