import { commonKeys, key, peerKey, Text, Whole } from '@longshore/kit';
import { z } from 'zod';

export const keys = {
  ...commonKeys('agent'),
  socket: key({
    env: 'LONGSHORE_SOCKET',
    schema: Text,
    default: (earlier) => `${earlier.state}/longshore.sock`,
    defaultText: '$LONGSHORE_STATE/longshore.sock',
    unit: 'path',
    meaning:
      "The node socket: containerd's API for this host's tools, for root only. Shims report to <socket>.ttrpc.",
  }),
  nodeId: key({
    env: 'LONGSHORE_NODE_ID',
    schema: z.string(),
    default: '',
    defaultText: 'the host name, kept from the first start on',
    meaning: 'Names this node in the fleet. It must never change: all records of the node carry it.',
  }),
  cgroupParent: key({
    env: 'LONGSHORE_CGROUP_PARENT',
    schema: z.string().startsWith('/'),
    default: '/longshore',
    unit: 'cgroup path',
    meaning: "Parent of the containers' cgroups, so that several runtimes on one machine do not share them.",
  }),
  heartbeatMs: key({
    env: 'LONGSHORE_HEARTBEAT_MS',
    schema: Whole,
    default: 10_000,
    unit: 'ms',
    meaning: 'How often this node tells the control plane that it is alive.',
  }),
  content: peerKey('content'),
  image: peerKey('image'),
  snapshot: peerKey('snapshot'),
  runtime: peerKey('runtime'),
  events: peerKey('events'),
};
