import { context, propagation } from '@opentelemetry/api';

/** The trace context of the call under way as W3C headers, for the shim's ttrpc metadata. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}
