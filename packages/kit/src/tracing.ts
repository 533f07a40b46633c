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
 * Sets up trace context for this process: W3C headers in and out, ids in the logs. Spans leave the process only
 * when a collector is configured; the exporter is heavy, so it is loaded only then.
 */
export async function startTracing(service: string, otlpEndpoint: string): Promise<Tracing> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = otlpEndpoint === '' ? [] : [await otlpProcessor(otlpEndpoint)];
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': `longshore-${service}` }),
    spanProcessors,
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
