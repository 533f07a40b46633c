import { Counter, Gauge, type Metrics } from '@longshore/kit';

const MAX_METHODS = 500;

/** Every metric of the agent's own, beside those of the kit. */
export function agentMetrics({ registry }: Metrics) {
  const calls = new Counter({
    name: 'longshore_agent_control_plane_calls_total',
    help: 'Calls and reads of blob URLs that this agent has begun at the control plane, for itself and for its callers.',
    labelNames: ['service', 'method'] as const,
    registers: [registry],
  });
  const seen = new Set<string>();
  return {
    /** Callers may make up methods: so many are told apart. */
    called(service: string, method: string) {
      const name = `${service}/${method}`;
      if (seen.size < MAX_METHODS) seen.add(name);
      calls.inc(seen.has(name) ? { service, method } : { service: 'other', method: 'other' });
    },
    logBytesDropped: new Counter({
      name: 'longshore_agent_log_dropped_bytes_total',
      help: "Bytes of containers' kept output that the disk did not take.",
      registers: [registry],
    }),
    missingLayers: new Gauge({
      name: 'longshore_snapshots_missing',
      help: 'Snapshots of this node whose layers are not on its disk, as of the last comparison.',
      registers: [registry],
    }),
    quarantined: new Gauge({
      name: 'longshore_snapshots_quarantined',
      help: 'Layer directories on this node that no record names, put aside and kept.',
      registers: [registry],
    }),
  };
}
