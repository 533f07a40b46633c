import { type Node, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { timeToJson } from './time.ts';

/** In the words of the API. */
const STATES = {
  [NodeState.UNSPECIFIED]: 'unknown',
  [NodeState.JOINING]: 'joining',
  [NodeState.READY]: 'ready',
  [NodeState.UNREACHABLE]: 'unreachable',
  [NodeState.DRAINING]: 'draining',
  [NodeState.GONE]: 'gone',
} as const;

export const STATE_NAMES = Object.values(STATES);
export type StateName = (typeof STATE_NAMES)[number];

export function stateFromJson(name: StateName): NodeState {
  const [state] = Object.entries(STATES).find(([, value]) => value === name) ?? [];
  return Number(state ?? NodeState.UNSPECIFIED) as NodeState;
}

export function nodeToJson(node: Node) {
  return {
    id: node.id,
    uid: node.uid,
    revision: Number(node.revision),
    state: STATES[node.state] ?? 'unknown',
    cordoned: node.cordoned,
    notice: node.notice,
    address: node.address,
    labels: node.labels,
    hostname: node.hostname,
    kernel: node.kernel,
    architecture: node.architecture,
    cgroup_version: node.cgroupVersion,
    software_version: node.softwareVersion,
    runtimes: node.runtimes,
    snapshotters: node.snapshotters,
    capacity: {
      cpus: node.capacity?.cpus ?? 0,
      memory_bytes: Number(node.capacity?.memoryBytes ?? 0),
      disk_bytes: Number(node.capacity?.diskBytes ?? 0),
    },
    running_tasks: node.runningTasks,
    created_at: timeToJson(node.createdAt),
    last_seen_at: timeToJson(node.lastSeenAt) ?? null,
  };
}
