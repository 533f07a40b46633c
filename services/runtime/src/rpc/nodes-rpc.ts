import { notFound } from '@longshore/errors';
import { type Handlers, parseAddresses } from '@longshore/kit';
import type { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { parseSelector } from '../domain/label-selector.ts';
import { labelsOf, type Node, nodeSubject, requirePresent } from '../domain/node.ts';
import { heard, reported } from '../domain/node-changes.ts';
import { versionNotice } from '../domain/software-version.ts';
import type { Heartbeats } from '../heartbeats.ts';
import type { NodeRepository } from '../storage/postgres/node-repository.ts';
import { SOFTWARE_VERSION } from '../version.ts';
import { desiredToProto, nodeFromProto, nodeToProto, stateFromProto } from './convert-node.ts';
import { requireNetworkAddress } from './network-address.ts';

/** `longshore.runtime.v1.NodeService`. */
export function nodesRpc(nodes: NodeRepository, heartbeats: Heartbeats): Handlers<typeof NodeService> {
  return {
    async register({ node }, call) {
      const report = nodeFromProto(node);
      call.requireNode(report.id);
      if (call.peer.kind === 'node') requireNetworkAddress(report.address);
      else parseAddresses(report.address);
      const notice = versionNotice(report.softwareVersion, SOFTWARE_VERSION);
      if (notice !== '') call.log.warn({ node: report.id }, notice);
      const decide = (stored: Node) => reported(stored, report, notice);
      // A certificate says that the node has joined: one whose record is not there has to join again.
      const mayMake = call.peer.kind !== 'node';
      const registered = await nodes.register(report, decide, { mayMake });
      return {
        node: nodeToProto(registered),
        controlPlaneVersion: SOFTWARE_VERSION,
        desired: desiredToProto(registered),
      };
    },

    async heartbeat({ id, runningTasks }, call) {
      call.requireNode(id);
      const node = await heartbeats.beat(id, runningTasks);
      requirePresent(node);
      // It has joined anew while its agent ran on.
      if (node.state === 'joining') throw notFound(`registration of ${nodeSubject(id)}`);
      if (node.state === 'unreachable') await nodes.change(id, heard);
      return { desired: desiredToProto(node), keptTasks: node.keptTasks };
    },

    async get({ id }, call) {
      call.requireNode(id);
      return { node: nodeToProto(await nodes.get(id)) };
    },

    async list({ selector, states }) {
      const matches = parseSelector(selector);
      const found = await nodes.list(states.map(stateFromProto));
      return { nodes: found.filter((node) => matches(labelsOf(node))).map(nodeToProto) };
    },
  };
}
