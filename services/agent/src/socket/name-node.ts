import type { IncomingHttpHeaders } from 'node:http2';
import { GrpcCode } from '@longshore/errors';

const EXHAUSTED = String(GrpcCode.ResourceExhausted);
/** How shims and runc tell of a full disk, which have no status for it. As it is over the wire. */
const FULL = /no%20space%20left/i;

/** Makes a status say which node has run out of something: at the fleet's edge it could be any. */
export function nameNode(trailers: IncomingHttpHeaders, nodeId: string): void {
  const message = String(trailers['grpc-message'] ?? '');
  if (trailers['grpc-status'] !== EXHAUSTED && !FULL.test(message)) return;
  trailers['grpc-message'] = encodeURI(`node ${JSON.stringify(nodeId)}: `) + message;
}
