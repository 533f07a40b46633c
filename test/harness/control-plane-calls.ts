import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolchain } from '@longshore/local';
import type { TestNode } from './test-node.ts';

const METRIC = 'longshore_agent_control_plane_calls_total';
const LINE = new RegExp(`^${METRIC}\\{service="([^"]*)",method="([^"]*)".*\\} (\\d+)$`, 'gm');

/** What nobody waits for: the agent's own news and housekeeping, and claims given back. Nothing else is left out. */
const IN_THE_BACKGROUND = new Set([
  'longshore.runtime.v1.NodeService/Heartbeat',
  'longshore.events.v1.SpoolService/Append',
  'longshore.events.v1.SpoolService/Check',
  'longshore.content.v1.ClaimService/Renew',
  'longshore.content.v1.ClaimService/Release',
  'longshore.snapshot.v1.CatalogueService/ListTombstones',
  'longshore.snapshot.v1.CatalogueService/ConfirmTombstones',
  'longshore.snapshot.v1.CatalogueService/ListGenerations',
  'grpc.health.v1.Health/Check',
]);

/** Calls of one node to the control plane, by `service/method`. */
export class ControlPlaneCalls {
  readonly #counts: ReadonlyMap<string, number>;

  constructor(counts: ReadonlyMap<string, number>) {
    this.#counts = counts;
  }

  /** Those during some work that may be on its way: never fewer round trips than it waits for, one in a stream. */
  static async during(node: TestNode, work: () => Promise<unknown>): Promise<ControlPlaneCalls> {
    const before = await countsOf(node);
    await work();
    const after = await countsOf(node);
    const counts = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
    return new ControlPlaneCalls(new Map(counts.filter(([, count]) => count > 0)));
  }

  /** By `service/method`. */
  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get inForeground(): number {
    const counted = [...this.#counts].filter(([name]) => !IN_THE_BACKGROUND.has(name));
    return counted.reduce((sum, [, count]) => sum + count, 0);
  }

  toString(): string {
    const lines = [...this.#counts].sort().map(([name, count]) => {
      return `  ${count} ${name}${IN_THE_BACKGROUND.has(name) ? ' (in the background)' : ''}`;
    });
    return [`${this.inForeground} calls`, ...lines].join('\n');
  }
}

async function countsOf(node: TestNode): Promise<Map<string, number>> {
  const { addresses } = JSON.parse(readFileSync(node.path(join(node.state, 'agent.json')), 'utf8'));
  const { busybox } = (await toolchain()).binaries;
  const text = await node.exec([busybox, 'wget', '-q', '-O', '-', addresses.metrics]);
  return new Map(
    Array.from(text.matchAll(LINE), ([, service, method, n]) => [`${service}/${method}`, Number(n)]),
  );
}
