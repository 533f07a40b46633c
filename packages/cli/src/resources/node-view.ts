import { type Node, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { labelsText } from '../labels.ts';
import { ageText, sizeText, timeOf } from '../output/quantity.ts';
import type { View } from '../output/show.ts';

/** In the words of the HTTP API. */
const STATES = {
  [NodeState.UNSPECIFIED]: 'unknown',
  [NodeState.JOINING]: 'joining',
  [NodeState.READY]: 'ready',
  [NodeState.UNREACHABLE]: 'unreachable',
  [NodeState.DRAINING]: 'draining',
  [NodeState.GONE]: 'gone',
} as const;

export type StateName = (typeof STATES)[NodeState];
export const STATE_NAMES: readonly StateName[] = Object.values(STATES);

export const NODE_VIEW: View<Node> = {
  columns: [
    { header: 'NODE', value: ({ id }) => id },
    { header: 'STATE', value: ({ state, cordoned }) => `${STATES[state]}${cordoned ? ',cordoned' : ''}` },
    { header: 'TASKS', value: ({ runningTasks }) => String(runningTasks) },
    { header: 'LAST SEEN', value: ({ lastSeenAt }) => ageText(lastSeenAt) },
    { header: 'VERSION', value: ({ softwareVersion }) => softwareVersion },
    { header: 'ADDRESS', value: ({ address }) => address, isWide: true },
    { header: 'CPUS', value: ({ capacity }) => String(capacity?.cpus ?? '-'), isWide: true },
    {
      header: 'MEMORY',
      value: ({ capacity }) => (capacity ? sizeText(capacity.memoryBytes) : '-'),
      isWide: true,
    },
    {
      header: 'DISK',
      value: ({ capacity }) => (capacity ? sizeText(capacity.diskBytes) : '-'),
      isWide: true,
    },
    { header: 'KERNEL', value: ({ kernel }) => kernel, isWide: true },
    { header: 'LABELS', value: ({ labels }) => labelsText(labels), isWide: true },
    { header: 'NOTICE', value: ({ notice }) => notice, shrinks: true },
  ],
  name: ({ id }) => id,
  document: nodeDocument,
};

export function nodeDocument(node: Node) {
  return {
    id: node.id,
    uid: node.uid,
    revision: Number(node.revision),
    state: STATES[node.state],
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
      memory_bytes: Number(node.capacity?.memoryBytes ?? 0n),
      disk_bytes: Number(node.capacity?.diskBytes ?? 0n),
    },
    running_tasks: node.runningTasks,
    created_at: timeOf(node.createdAt),
    last_seen_at: timeOf(node.lastSeenAt),
  };
}
