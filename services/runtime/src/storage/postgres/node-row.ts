import type { Labels } from '@longshore/oci';
import type { Node, NodeReport, NodeState } from '../../domain/node.ts';

export interface NodeRow {
  uid: string;
  id: string;
  revision: bigint;
  address: string;
  labels: Labels;
  hostname: string;
  kernel: string;
  architecture: string;
  cgroup_version: number;
  software_version: string;
  snapshotters: string[];
  runtimes: string[];
  capacity_cpus: number;
  capacity_memory_bytes: bigint;
  capacity_disk_bytes: bigint;
  machine_id: string;
  state: NodeState;
  cordoned: boolean;
  drain_grace_ms: bigint | null;
  operator_labels: Labels;
  notice: string;
  forgetting: boolean;
  created_at: Date;
  last_seen_at: Date;
  running_tasks: number;
}

/** Of `nodes` as n with `node_heartbeats` as h. */
export const NODE_COLUMNS = `n.uid, n.id, n.revision, n.address, n.labels, n.hostname, n.kernel, n.architecture,
  n.cgroup_version, n.software_version, n.snapshotters, n.runtimes, n.capacity_cpus, n.capacity_memory_bytes,
  n.capacity_disk_bytes, n.machine_id, n.state, n.cordoned, n.drain_grace_ms, n.operator_labels, n.notice, n.forgetting,
  n.created_at, coalesce(h.last_seen_at, n.last_seen_at) AS last_seen_at, coalesce(h.running_tasks, 0) AS running_tasks`;

export const FROM_NODES = 'FROM nodes AS n LEFT JOIN node_heartbeats AS h ON h.node_id = n.id';

/** The columns that may change; `nodeValues` gives their values in this order. */
export const MUTABLE_COLUMNS = [
  'address',
  'labels',
  'hostname',
  'kernel',
  'architecture',
  'cgroup_version',
  'software_version',
  'snapshotters',
  'runtimes',
  'capacity_cpus',
  'capacity_memory_bytes',
  'capacity_disk_bytes',
  'machine_id',
  'state',
  'cordoned',
  'drain_grace_ms',
  'operator_labels',
  'notice',
  'forgetting',
] as const;

/** What a node is before anybody has said anything of it. */
export function blankNode(report: NodeReport): Omit<Node, 'uid' | 'revision' | 'createdAt' | 'lastSeenAt'> {
  return {
    ...report,
    state: 'joining',
    cordoned: false,
    drainGraceMs: undefined,
    operatorLabels: {},
    notice: '',
    isForgetting: false,
    runningTasks: 0,
  };
}

export function nodeValues(node: ReturnType<typeof blankNode>): unknown[] {
  return [
    node.address,
    node.labels,
    node.hostname,
    node.kernel,
    node.architecture,
    node.cgroupVersion,
    node.softwareVersion,
    node.snapshotters,
    node.runtimes,
    node.capacity.cpus,
    node.capacity.memoryBytes,
    node.capacity.diskBytes,
    node.machineId,
    node.state,
    node.cordoned,
    node.drainGraceMs ?? null,
    node.operatorLabels,
    node.notice,
    node.isForgetting,
  ];
}

export function nodeFromRow(row: NodeRow): Node {
  return {
    uid: row.uid,
    id: row.id,
    revision: row.revision,
    address: row.address,
    labels: row.labels,
    hostname: row.hostname,
    kernel: row.kernel,
    architecture: row.architecture,
    cgroupVersion: row.cgroup_version,
    softwareVersion: row.software_version,
    snapshotters: row.snapshotters,
    runtimes: row.runtimes,
    capacity: {
      cpus: row.capacity_cpus,
      memoryBytes: row.capacity_memory_bytes,
      diskBytes: row.capacity_disk_bytes,
    },
    machineId: row.machine_id,
    state: row.state,
    cordoned: row.cordoned,
    drainGraceMs: row.drain_grace_ms === null ? undefined : Number(row.drain_grace_ms),
    operatorLabels: row.operator_labels,
    notice: row.notice,
    isForgetting: row.forgetting,
    runningTasks: row.running_tasks,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
  };
}
