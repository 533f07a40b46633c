import { context, propagation, type Tracer, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

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
  if (otlpEndpoint === '') return { close: async () => undefined };
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': `longshore-${service}` }),
    spanProcessors: [await otlpProcessor(otlpEndpoint)],
  });
  trace.setGlobalTracerProvider(provider);
  return { close: () => provider.shutdown() };
}

/** The tracer of everything that longshore's own code records. */
export function tracer(): Tracer {
  return trace.getTracer('longshore');
}

async function otlpProcessor(endpoint: string): Promise<SpanProcessor> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`;
  return new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) });
}
