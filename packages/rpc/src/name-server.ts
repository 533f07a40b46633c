import { isKind, LongshoreError, messageOf } from '@longshore/errors';

/** How grpc-js begins to tell of a failure that is the connection's; what servers say begins with its subject. */
const OF_THE_CONNECTION =
  /^(No connection established|Stream refused by server|Connection dropped|Server dropped|Write error|Write failed|(read|write|connect) E[A-Z]+)/;

/** A stream that the server, or the end of its process, has cut: grpc-js does not say so by its status. */
const CUT =
  /^(Call cancelled|Received RST_STREAM with code \d+ (\(Call ended without gRPC status\)|triggered by internal client error))/;

/** Whether the call's end came from the connection and not from this side, nor as a status from the server. */
export function wasCut(error: unknown, signal?: AbortSignal): boolean {
  return isKind(error, 'Canceled', 'Internal') && CUT.test(messageOf(error)) && signal?.aborted !== true;
}

/** An outage is Unavailable and says who is away: what the transport alone knows, e.g. `read ECONNRESET`, does not. */
export function nameServer(error: unknown, server: string, signal?: AbortSignal): unknown {
  const isOutage = isKind(error, 'Unavailable') && OF_THE_CONNECTION.test(messageOf(error));
  if (!isOutage && !wasCut(error, signal)) return error;
  const problem = isOutage ? messageOf(error) : 'the connection was cut: unavailable';
  const subject = server === '' ? '' : `${server}: `;
  return new LongshoreError('Unavailable', `${subject}${problem}`, { cause: error });
}
