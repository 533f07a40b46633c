import type { DescMethod } from '@bufbuild/protobuf';
import { GrpcCode, toGrpcStatus } from '@longshore/errors';
import { parseTrace, runInTrace } from '@longshore/transport';
import type { Metrics } from '../metrics.ts';
import type { Span } from '../span.ts';
import { startSpan } from '../tracing.ts';
import type { Call, HeadersRead } from './call.ts';

/** Statuses that say that this service, not its caller, has a problem. */
const OUR_FAULT: ReadonlySet<number> = new Set([GrpcCode.Unknown, GrpcCode.Internal, GrpcCode.DataLoss]);

/** Runs a handler inside the caller's trace, logs how it ended and measures it. That there is no such thing is no news: clients look whether there is. */
export function observe<T>(
  method: DescMethod,
  call: Call,
  headers: HeadersRead,
  metrics: Metrics,
  handle: () => Promise<T>,
): Promise<T> {
  const parent = parseTrace(headers.get('traceparent')[0], headers.get('tracestate')[0]);
  const attributes = { 'rpc.system': 'grpc', 'longshore.request_id': call.requestId };
  const span = startSpan(call.method.slice(1), attributes, parent);
  return runInTrace(span.trace, async () => {
    const started = performance.now();
    let code: number = GrpcCode.OK;
    try {
      return await handle();
    } catch (error) {
      code = reportFailure(error, call, span);
      throw error;
    } finally {
      const elapsedMs = performance.now() - started;
      const labels = { service: method.parent.typeName, method: method.name, code: String(code) };
      metrics.rpcSeconds.observe(labels, elapsedMs / 1000);
      if (call.logs('debug'))
        call.log.debug({ method: call.method, code, elapsed_ms: Math.round(elapsedMs * 100) / 100 }, 'call');
      span.end();
    }
  });
}

function reportFailure(error: unknown, call: Call, span: Span): number {
  const { code, message } = toGrpcStatus(error);
  span.fail(message);
  const level = OUR_FAULT.has(code) ? 'error' : code === GrpcCode.NotFound ? 'debug' : 'info';
  if (!call.logs(level)) return code;
  if (level === 'error') call.log.error({ method: call.method, code, err: error }, 'call failed');
  else call.log[level]({ method: call.method, code, error: message }, 'call refused');
  return code;
}
