/** A registry that asks for more is not waited for. */
const MAX_MS = 60_000;

/** How long a `Retry-After` header asks to wait, in milliseconds, bounded; 0 without one. Source: RFC 9110, 10.2.3. */
export function retryAfterMs(header: string | undefined, now = Date.now()): number {
  if (header === undefined) return 0;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.min(MAX_MS, Math.max(0, ms)) : 0;
}
