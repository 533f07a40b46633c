import { Counter, type Metrics } from '@longshore/kit';

export interface LimitMetrics {
  refused: Counter<'limit'>;
  cut: Counter<'reason'>;
}

export function limitMetrics({ registry }: Metrics): LimitMetrics {
  const registers = [registry];
  return {
    refused: new Counter({
      name: 'longshore_gateway_limited_calls_total',
      help: 'Calls that were refused because their caller makes too many: in a second (rate), or at once (at_once).',
      labelNames: ['limit'] as const,
      registers,
    }),
    cut: new Counter({
      name: 'longshore_gateway_cut_total',
      help: 'Connections and answers that were ended: resets, strangers, silent, unread.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}
