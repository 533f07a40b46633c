import { createLogger, createMetrics } from '@longshore/kit';
import { GatewayLimits } from '../limits/gateway-limits.ts';
import type { HttpLimits } from '../limits/http-limits.ts';
import { limitMetrics } from '../limits/metrics.ts';

/** Far above what a test asks for. Their timers keep no process. */
export function wideLimits(): HttpLimits {
  const gateway = new GatewayLimits(
    {
      callsPerSecond: 1000,
      callsAtOnce: 1000,
      maxConnections: 1000,
      strikesPerSecond: 1000,
      requestTimeoutMs: 30_000,
      unreadTimeoutMs: 30_000,
    },
    {
      metrics: limitMetrics(createMetrics('test')),
      onCut: () => undefined,
      log: createLogger('test', 'silent'),
    },
  );
  return { gateway, maxBodyBytes: 1024 * 1024, origins: [] };
}
