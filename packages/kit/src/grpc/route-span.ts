import { randomFillSync, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http2';
import { Header } from '@longshore/proto/headers';
import { parseTrace, traceHeaders } from '@longshore/transport';
import type { Span } from '../span.ts';
import { startSpan } from '../tracing.ts';

/** Of a trace, 16, and of a span, 8. */
const IDS_BYTES = 24;

export interface RouteSpan {
  span: Span;
  /** For the next hop: the trace, as a child of the span, and the request's id. */
  headers: Record<string, string>;
}

/** Begins the span of a call that is passed on, inside its caller's trace; `path` is `/<service>/<method>`. */
export function startRouteSpan(path: string, incoming: IncomingHttpHeaders): RouteSpan {
  const parent = parseTrace(incoming.traceparent, incoming.tracestate);
  const span = startSpan(path.slice(1), { 'rpc.system': 'grpc' }, parent);
  const trace = span.trace ? traceHeaders(span.trace) : { traceparent: newTraceparent() };
  return {
    span,
    headers: { ...trace, [Header.RequestId]: String(incoming[Header.RequestId] ?? randomUUID()) },
  };
}

/** Drawn for many at a time: a call into the system for each takes longer than all the rest. */
const drawn = Buffer.alloc(64 * IDS_BYTES);
let nextAt = drawn.length;

/** Of a trace that begins here and is not sampled: its id is for the logs. Source: W3C Trace Context, section 3.2. */
function newTraceparent(): string {
  if (nextAt === drawn.length) {
    randomFillSync(drawn);
    nextAt = 0;
  }
  const ids = drawn.toString('hex', nextAt, nextAt + IDS_BYTES);
  nextAt += IDS_BYTES;
  return `00-${ids.slice(0, 32)}-${ids.slice(32)}-00`;
}
