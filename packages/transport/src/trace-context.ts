import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Where a call stands in its caller's trace, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/). Written
 * here because OpenTelemetry's packages are two hundred files, which every start would load; they are for those who
 * configure a collector (`startTracing` in kit).
 */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the caller's span. */
  readonly spanId: string;
  /** Bit 0: the caller has sampled the trace. */
  readonly flags: number;
  /** `tracestate`: what tracing systems tell one another; may be empty. */
  readonly state: string;
}

/** Version, trace, span, flags; of version 00 nothing follows. All-zero ids and version ff are not valid. */
const TRACEPARENT = /^((?!ff)[\da-f]{2})-((?!0{32})[\da-f]{32})-((?!0{16})[\da-f]{16})-([\da-f]{2})(-.*)?$/;
/** As much as everyone has to pass on; what is longer may be dropped. */
const MAX_STATE_CHARACTERS = 512;
const STATE = /^[\t -~]*$/;

const running = new AsyncLocalStorage<TraceContext | undefined>();

/** Of the call under way; undefined when it came without one. */
export function currentTrace(): TraceContext | undefined {
  return running.getStore();
}

/** Everything that `work` begins is in this trace; undefined: in none. */
export function runInTrace<T>(trace: TraceContext | undefined, work: () => T): T {
  return running.run(trace, work);
}

/** What a caller's headers say; undefined when they name no trace, or not in the way of the standard. */
export function parseTrace(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(String(traceparent ?? '').trim()) ?? [];
  if (!traceId || !spanId || !flags || (version === '00' && more)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16), state: parseState(tracestate) };
}

/** The headers that take a trace to the next hop; none for no trace. */
export function traceHeaders(trace: TraceContext | undefined = currentTrace()): Record<string, string> {
  if (trace === undefined) return {};
  const flags = trace.flags.toString(16).padStart(2, '0');
  const traceparent = `00-${trace.traceId}-${trace.spanId}-${flags}`;
  return trace.state === '' ? { traceparent } : { traceparent, tracestate: trace.state };
}

function parseState(tracestate: unknown): string {
  const text = String(tracestate ?? '').trim();
  return text.length <= MAX_STATE_CHARACTERS && STATE.test(text) ? text : '';
}
