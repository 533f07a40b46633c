import type { IncomingHttpHeaders } from 'node:http2';
import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api';
import { tracer } from '../tracing.ts';

export interface RouteSpan {
  span: Span;
  /** Make the next hop a child of the span. */
  headers: Record<string, string>;
}

/** Begins the span of a call that is passed on, inside its caller's trace; `path` is `/<service>/<method>`. */
export function startRouteSpan(path: string, incoming: IncomingHttpHeaders): RouteSpan {
  const parent = propagation.extract(context.active(), incoming);
  const attributes = { 'rpc.system': 'grpc' };
  const span = tracer().startSpan(path.slice(1), { kind: SpanKind.SERVER, attributes }, parent);
  const headers: Record<string, string> = {};
  propagation.inject(trace.setSpan(parent, span), headers);
  return { span, headers };
}
