import { failedPrecondition } from '@longshore/errors';
import type { Labels } from '@longshore/oci';

/**
 * joining: has a certificate, and has not reported yet. ready: reports. unreachable: was not heard of for too long.
 * draining: ready, and its tasks are to end, or have. gone: removed; it may join again.
 */
export type NodeState = 'joining' | 'ready' | 'unreachable' | 'draining' | 'gone';

export interface Capacity {
  cpus: number;
  memoryBytes: bigint;
  diskBytes: bigint;
}

/** What an agent reports of its host. */
export interface NodeReport {
  id: string;
  /** Empty while the agent has never run. */
  address: string;
  labels: Labels;
  hostname: string;
  kernel: string;
  architecture: string;
  cgroupVersion: number;
  softwareVersion: string;
  snapshotters: string[];
  runtimes: string[];
  capacity: Capacity;
  /** Tells machines apart that claim one id; empty from agents that do not say. */
  machineId: string;
}

export interface Node extends NodeReport {
  uid: string;
  revision: bigint;
  state: NodeState;
  cordoned: boolean;
  /** Undefined when no drain was asked for. */
  drainGraceMs: number | undefined;
  operatorLabels: Labels;
  notice: string;
  /** Gone, and not all of its records are removed yet. */
  isForgetting: boolean;
  runningTasks: number;
  createdAt: Date;
  lastSeenAt: Date;
}

/** What the control plane wants of a node. */
export interface Desired {
  cordoned: boolean;
  drainGraceMs: number | undefined;
}

/** The labels that count: operators' win over the agent's. */
export function labelsOf(node: Pick<Node, 'labels' | 'operatorLabels'>): Labels {
  return { ...node.labels, ...node.operatorLabels };
}

/** What a node is that is heard of. */
export function stateWhenHeard(node: Pick<Node, 'drainGraceMs'>): NodeState {
  return node.drainGraceMs === undefined ? 'ready' : 'draining';
}

/** Throws FailedPrecondition for a node that was removed. */
export function requirePresent(node: Pick<Node, 'id' | 'state'>): void {
  if (node.state === 'gone') throw failedPrecondition(`${nodeSubject(node.id)}: was removed`);
}

/** Throws FailedPrecondition for a node that takes no new containers. */
export function requireOpen(node: Pick<Node, 'id' | 'state' | 'cordoned'>): void {
  requirePresent(node);
  if (node.cordoned) throw failedPrecondition(`${nodeSubject(node.id)} is cordoned`);
}

/** Throws FailedPrecondition unless nothing of worth is lost with the node. */
export function requireRemovable({
  id,
  state,
  runningTasks,
}: Pick<Node, 'id' | 'state' | 'runningTasks'>): void {
  if (state === 'ready') {
    throw failedPrecondition(`${nodeSubject(id)}: is ready; drain it first, or force its removal`);
  }
  if (state === 'draining' && runningTasks > 0) {
    throw failedPrecondition(
      `${nodeSubject(id)}: has running tasks (${runningTasks}); wait, or force its removal`,
    );
  }
}

/** Whether a machine is another one than the one that has the id. Who does not say is not another. */
export function isOtherMachine(known: string, reported: string): boolean {
  return known !== '' && reported !== '' && known !== reported;
}

export function nodeSubject(id: string): string {
  return `node ${JSON.stringify(id)}`;
}
