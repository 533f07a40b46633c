import { failedPrecondition } from '@longshore/errors';
import type { Labels } from '@longshore/oci';
import {
  isOtherMachine,
  type Node,
  type NodeReport,
  nodeSubject,
  requirePresent,
  requireRemovable,
  stateWhenHeard,
} from './node.ts';

/** What of a node changes; what is left out stays. */
export type NodeChange = Partial<
  NodeReport &
    Pick<Node, 'state' | 'cordoned' | 'drainGraceMs' | 'operatorLabels' | 'notice' | 'isForgetting'>
>;

/** An agent has reported. Throws FailedPrecondition for a node that was removed, and for another machine. */
export function reported(node: Node, report: NodeReport, notice: string): NodeChange {
  requirePresent(node);
  if (isOtherMachine(node.machineId, report.machineId)) {
    throw failedPrecondition(`${nodeSubject(node.id)}: belongs to another machine`);
  }
  const machineId = report.machineId || node.machineId;
  return { ...report, machineId, notice, state: stateWhenHeard(node) };
}

/** An agent was heard of, without a report. */
export function heard(node: Node): NodeChange {
  return node.state === 'unreachable' ? { state: stateWhenHeard(node) } : {};
}

/** Letting work in again ends a drain too. */
export function cordoned(node: Node, isCordoned: boolean): NodeChange {
  requirePresent(node);
  if (isCordoned) return { cordoned: true };
  const state = node.state === 'draining' ? 'ready' : node.state;
  return { cordoned: false, drainGraceMs: undefined, state };
}

export function drained(node: Node, graceMs: number): NodeChange {
  requirePresent(node);
  const state = node.state === 'ready' ? 'draining' : node.state;
  return { cordoned: true, drainGraceMs: graceMs, state };
}

/** Throws FailedPrecondition for a node that still has something to lose, unless forced. */
export function removed(node: Node, isForced: boolean): NodeChange {
  if (node.state === 'gone') return {};
  if (!isForced) requireRemovable(node);
  return { state: 'gone', cordoned: false, drainGraceMs: undefined, isForgetting: true };
}

/** A machine was let in under the id, for the first time or again. */
export function joined(node: Node, report: NodeReport, notice: string, operatorLabels: Labels): NodeChange {
  return {
    ...report,
    address: report.address || node.address,
    notice,
    operatorLabels: { ...node.operatorLabels, ...operatorLabels },
    state: 'joining',
  };
}
