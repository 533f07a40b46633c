import { Counter, Gauge, type Metrics } from '@longshore/kit';

export interface AuditMetrics {
  records: Counter<'outcome'>;
  refusals: Counter<'error'>;
  lostRefusals: Counter;
}

export function auditMetrics({ registry }: Metrics): AuditMetrics {
  const registers = [registry];
  return {
    records: new Counter({
      name: 'longshore_audit_calls_total',
      help: 'Calls that change something, by how they ended: ok, failed, or unknown.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    refusals: new Counter({
      name: 'longshore_audit_refusals_total',
      help: 'Calls that the edge turned away, by the kind of the error.',
      labelNames: ['error'] as const,
      registers,
    }),
    lostRefusals: new Counter({
      name: 'longshore_audit_lost_refusals_total',
      help: 'Refusals that are in no event, as too many waited for Postgres.',
      registers,
    }),
  };
}

/** Shows how much is not kept yet; to be watched. */
export function showWaiting({ registry }: Metrics, waiting: () => number): void {
  new Gauge({
    name: 'longshore_audit_waiting',
    help: 'Outcomes of calls, and refusals, that are not in Postgres yet.',
    registers: [registry],
    collect() {
      this.set(waiting());
    },
  });
}
