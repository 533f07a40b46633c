import type { OutgoingHttpHeaders } from 'node:http2';
import type { RawCall } from './call.ts';

/** How a call ended: trailers with its status, and the message of one that went well, encoded. */
export interface UnaryOutcome {
  message?: Uint8Array;
  trailers: OutgoingHttpHeaders;
}

/** A unary method of a server of this process, for calls that do not come over a connection to it. */
export interface UnaryMethod {
  /** The message of a request. Throws for what is none. */
  decode(request: Uint8Array): unknown;
  /** Runs one call, of a caller on this machine, with all that the server does for every call. Never rejects. */
  run(call: RawCall, request: unknown): Promise<UnaryOutcome>;
}
