import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { type Node, NodeState } from './gen/longshore/runtime/v1/nodes_pb.js';

/** A node's states in the words of the HTTP API, of the command line, and of whoever else shows nodes to people. */
const STATES = {
  [NodeState.UNSPECIFIED]: 'unknown',
  [NodeState.JOINING]: 'joining',
  [NodeState.READY]: 'ready',
  [NodeState.UNREACHABLE]: 'unreachable',
  [NodeState.DRAINING]: 'draining',
  [NodeState.GONE]: 'gone',
} as const;

export const NODE_STATE_NAMES = Object.values(STATES);
export type NodeStateName = (typeof NODE_STATE_NAMES)[number];

export function nodeStateName(state: NodeState): NodeStateName {
  return STATES[state] ?? 'unknown';
}

export function nodeStateFromName(name: NodeStateName): NodeState {
  const [state] = Object.entries(STATES).find(([, value]) => value === name) ?? [];
  return Number(state ?? NodeState.UNSPECIFIED) as NodeState;
}

/** A node as JSON documents have it. */
export function nodeToJson(node: Node) {
  return {
    id: node.id,
    uid: node.uid,
    revision: Number(node.revision),
    state: nodeStateName(node.state),
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
    last_seen_at: timeToJson(node.lastSeenAt),
  };
}

/** RFC 3339, in UTC. */
function timeToJson(time: Timestamp | undefined): string | null {
  return time ? timestampDate(time).toISOString() : null;
}
