import type { TraceContext } from '@longshore/transport';

/** The time that this process works for a call. */
export interface Span {
  /** For what the work begins, and for the next hop. */
  readonly trace: TraceContext | undefined;
  fail(message: string): void;
  end(): void;
}

/** Makes spans and sends them somewhere. */
export interface SpanExport {
  start(name: string, attributes: Record<string, string>, parent: TraceContext | undefined): Span;
  close(): Promise<void>;
}
