import type { Logger } from '@longshore/kit';
import { CallerLimits } from './caller-limits.ts';
import { ConnectionGuard, type CutReason } from './connection-guard.ts';
import type { LimitMetrics } from './metrics.ts';
import { SlowReaders } from './slow-readers.ts';

export interface GatewayLimitsOptions {
  callsPerSecond: number;
  callsAtOnce: number;
  maxConnections: number;
  strikesPerSecond: number;
  requestTimeoutMs: number;
  unreadTimeoutMs: number;
}

export interface GatewayLimitsParts {
  metrics: LimitMetrics;
  /** Told of connections of the gRPC door that were ended. */
  onCut: (reason: CutReason, address: string) => void;
  log: Logger;
}

/** What keeps one caller from taking what is for all. States: open → closed. */
export class GatewayLimits {
  readonly callers: CallerLimits;
  readonly connections: ConnectionGuard;
  readonly slowReaders: SlowReaders;
  readonly maxConnections: number;
  readonly requestTimeoutMs: number;
  readonly strikesPerSecond: number;

  constructor(options: GatewayLimitsOptions, { metrics, onCut, log }: GatewayLimitsParts) {
    this.callers = new CallerLimits({ ...options, onRefused: (limit) => metrics.refused.inc({ limit }) });
    this.connections = new ConnectionGuard({
      ...options,
      log,
      onCut: (reason, address) => {
        metrics.cut.inc({ reason });
        onCut(reason, address);
      },
    });
    this.slowReaders = new SlowReaders(options.unreadTimeoutMs, () => metrics.cut.inc({ reason: 'unread' }));
    this.maxConnections = options.maxConnections;
    this.requestTimeoutMs = options.requestTimeoutMs;
    this.strikesPerSecond = options.strikesPerSecond;
  }

  close(): void {
    this.connections.close();
    this.slowReaders.close();
  }
}
