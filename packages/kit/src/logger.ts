import { currentTrace } from '@longshore/transport';
import { type Logger, pino } from 'pino';

export type { Logger };

/** JSON lines on stdout; every line written inside a traced call carries its trace and span id. */
export function createLogger(service: string, level: string): Logger {
  return pino({
    level,
    base: { service, pid: process.pid },
    formatters: { level: (label) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: traceIds,
  });
}

function traceIds(): object {
  const trace = currentTrace();
  return trace ? { trace_id: trace.traceId, span_id: trace.spanId } : {};
}
