import type { TraceContext } from '@longshore/transport';
import type { Span, SpanExport } from './span.ts';

export interface Tracing {
  /** Sends what is still queued. */
  close(): Promise<void>;
}

let spans: SpanExport | undefined;

/** Spans are made only when a collector is configured to take them; without one, a call stays in the trace that its caller named. */
export async function startTracing(service: string, otlpEndpoint: string): Promise<Tracing> {
  if (otlpEndpoint === '') return { close: async () => undefined };
  // Heavy, so loaded only when it is used.
  const { exportSpans } = await import('./export-spans.ts');
  const started = exportSpans(service, otlpEndpoint);
  spans = started;
  return {
    close() {
      if (spans === started) spans = undefined;
      return started.close();
    },
  };
}

/** Begins the span of a call that is served, inside its caller's trace. */
export function startSpan(
  name: string,
  attributes: Record<string, string>,
  parent: TraceContext | undefined,
): Span {
  return (
    spans?.start(name, attributes, parent) ?? { trace: parent, fail: () => undefined, end: () => undefined }
  );
}
