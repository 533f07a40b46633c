import type { Metrics } from '@longshore/kit';
import { Gauge } from 'prom-client';

/** Every metric of the agent's own, beside those of the kit. */
export function agentMetrics({ registry }: Metrics) {
  return {
    quarantined: new Gauge({
      name: 'longshore_snapshots_quarantined',
      help: 'Layer directories on this node that no record names, put aside and kept.',
      registers: [registry],
    }),
  };
}
