import type { IncomingHttpHeaders } from 'node:http2';

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Of a timer. What lasts longer, some 25 days, never passes here. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** How long a caller waits, in milliseconds; Infinity when it does not say. Source: gRPC over HTTP/2, header grpc-timeout. */
export function timeoutOf({ 'grpc-timeout': value }: IncomingHttpHeaders): number {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(value ?? '')) ?? [];
  if (digits === undefined || unit === undefined) return Number.POSITIVE_INFINITY;
  const timeoutMs = Math.ceil(Number(digits) * (UNIT_MS[unit] ?? 0));
  return timeoutMs > MAX_TIMER_MS ? Number.POSITIVE_INFINITY : timeoutMs;
}
