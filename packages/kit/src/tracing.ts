import { context, propagation, type Tracer, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';

export interface Tracing {
  /** Sends what is still queued. */
  close(): Promise<void>;
}

/**
 * Sets up trace context for this process: W3C headers in and out, ids in the logs. Spans are made only when a collector
 * is configured to take them; without one, a call stays in the trace that its caller named.
 */
export async function startTracing(service: string, otlpEndpoint: string): Promise<Tracing> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return otlpEndpoint === '' ? { close: async () => undefined } : exportSpans(service, otlpEndpoint);
}

/** The tracer of everything that longshore's own code records. */
export function tracer(): Tracer {
  return trace.getTracer('longshore');
}

/** The SDK and the exporter are heavy, so they are loaded only when they are used. */
async function exportSpans(service: string, endpoint: string): Promise<Tracing> {
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { BatchSpanProcessor, TracerProvider } = await import('@opentelemetry/sdk-trace');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': `longshore-${service}` }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  trace.setGlobalTracerProvider(provider);
  return { close: () => provider.shutdown() };
}
