import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import { type Labels, parseIdentifier, validateLabels, withoutEmptyLabels } from '@longshore/oci';
import {
  type DesiredSchema,
  type Node as NodeMessage,
  type NodeSchema,
  NodeState as NodeStateMessage,
} from '@longshore/proto/longshore/runtime/v1/nodes';
import { type Desired, labelsOf, type Node, type NodeReport, type NodeState } from '../domain/node.ts';

const STATES: Readonly<Record<NodeState, NodeStateMessage>> = {
  joining: NodeStateMessage.JOINING,
  ready: NodeStateMessage.READY,
  unreachable: NodeStateMessage.UNREACHABLE,
  draining: NodeStateMessage.DRAINING,
  gone: NodeStateMessage.GONE,
};

/** What an agent reports. Throws InvalidArgument for an id or labels that are none. */
export function nodeFromProto(message: NodeMessage | undefined): NodeReport {
  if (!message) throw invalidArgument('node must be set');
  const { capacity } = message;
  return {
    id: parseIdentifier(message.id, 'node ID'),
    address: message.address,
    labels: labelsFromProto(message.labels),
    hostname: message.hostname,
    kernel: message.kernel,
    architecture: message.architecture,
    cgroupVersion: message.cgroupVersion,
    softwareVersion: message.softwareVersion,
    snapshotters: message.snapshotters,
    runtimes: message.runtimes,
    capacity: {
      cpus: capacity?.cpus ?? 0,
      memoryBytes: capacity?.memoryBytes ?? 0n,
      diskBytes: capacity?.diskBytes ?? 0n,
    },
    machineId: message.machineId,
  };
}

export function labelsFromProto(labels: Labels): Labels {
  validateLabels(labels);
  return withoutEmptyLabels(labels);
}

export function nodeToProto(node: Node): MessageInitShape<typeof NodeSchema> {
  return {
    id: node.id,
    address: node.address,
    labels: labelsOf(node),
    hostname: node.hostname,
    kernel: node.kernel,
    architecture: node.architecture,
    cgroupVersion: node.cgroupVersion,
    softwareVersion: node.softwareVersion,
    snapshotters: node.snapshotters,
    runtimes: node.runtimes,
    capacity: node.capacity,
    machineId: node.machineId,
    uid: node.uid,
    revision: node.revision,
    state: STATES[node.state],
    cordoned: node.cordoned,
    notice: node.notice,
    runningTasks: node.runningTasks,
    operatorLabels: node.operatorLabels,
    createdAt: timestampFromDate(node.createdAt),
    lastSeenAt: timestampFromDate(node.lastSeenAt),
  };
}

/** Throws InvalidArgument for a number that is no state. */
export function stateFromProto(state: NodeStateMessage): NodeState {
  const found = Object.entries(STATES).find(([, message]) => message === state);
  if (!found) throw invalidArgument(`node state ${state}`);
  return found[0] as NodeState;
}

export function desiredToProto({ cordoned, drainGraceMs }: Desired): MessageInitShape<typeof DesiredSchema> {
  if (drainGraceMs === undefined) return { cordoned };
  return { cordoned, draining: true, drainGrace: durationFromMs(drainGraceMs) };
}
