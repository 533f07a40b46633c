import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runcOptions } from '@longshore/client';
import { removeCgroup } from '@longshore/linux';
import { makeBusyboxImage, pushImage } from '@longshore/local';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { TestAuthority } from '@longshore/transport/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { containersSuite } from './client/containers.suite.ts';
import { contentSuite } from './client/content.suite.ts';
import { deathsSuite } from './client/deaths.suite.ts';
import { edgeSuite } from './client/edge.suite.ts';
import { eventsSuite } from './client/events.suite.ts';
import { fleetImagesSuite, imagesSuite } from './client/images.suite.ts';
import { agentRestartSuite, gatewayDeathSuite, shimDeathSuite } from './client/outages.suite.ts';
import { packedSuite } from './client/packed.suite.ts';
import { openClient, type Server } from './client/server.ts';
import { serverInfoSuite } from './client/server-info.suite.ts';
import { tasksSuite } from './client/tasks.suite.ts';

/** Of this run: peers of other runs may share the machine. */
const cgroup = `/longshore-client-${randomBytes(3).toString('hex')}`;

let directory: string;
let stack: Stack;
let peer: PeerContainerd;
let imageName: string;
let ca: string;
let node: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-client-'));
  const tls = new TestAuthority(directory).issue('service/gateway');
  ca = tls.tlsCa;
  const env = {
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: tls.tlsCert,
    LONGSHORE_TLS_KEY: tls.tlsKey,
    LONGSHORE_TLS_CA: tls.tlsCa,
  };
  [stack, peer] = await Promise.all([startStack({ env }), startContainerd()]);
  imageName = await pushImage(stack.registry.host, 'test/busybox', '1', await makeBusyboxImage());
  const pull = ['image', 'pull', '--plain-http', imageName];
  await Promise.all([stack.ctr.ok(pull), peer.ctr.ok(pull)]);
  node = await onlyNode();
});
afterAll(async () => {
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
  await removeCgroup(cgroup);
  await rm(directory, { recursive: true, force: true });
});

function ours(): Server {
  const fifos = join(directory, 'ours');
  return {
    address: `unix://${stack.socket}`,
    options: {},
    imageName,
    cgroup,
    runtimeOptions: undefined,
    fifos,
  };
}

function theirs(): Server {
  const fifos = join(directory, 'theirs');
  return { address: peer.socket, options: {}, imageName, cgroup, runtimeOptions: runcRoot(), fifos };
}

/** With the token of who looks after the gateway. */
function edge(): Server {
  const token = readFileSync(join(stack.root, 'gateway.token'), 'utf8').trim();
  const address = stack.services.addresses('gateway').grpc!;
  return {
    address,
    options: { tls: { ca }, token },
    imageName,
    cgroup,
    runtimeOptions: undefined,
    fifos: '',
  };
}

const agent = {
  async restart() {
    await stack.services.kill('agent');
    await stack.services.whenReady('agent');
  },
};

async function onlyNode(): Promise<string> {
  using client = openClient(edge());
  const { nodes } = await client.service(NodeService).list({});
  return nodes[0]!.id;
}

describe.each([
  ['a longshore node', ours],
  ['a containerd', theirs],
])('the client of %s', (_, serverOf) => {
  containersSuite(serverOf);
  tasksSuite(serverOf);
  eventsSuite(serverOf);
  serverInfoSuite(serverOf);
  deathsSuite(serverOf);
  shimDeathSuite(serverOf);
});

describe.each([
  [
    'a longshore node',
    () => ({ address: stack.socket, other: peer.socket, ctr: stack.ctr, transfers: true }),
    false,
  ],
  [
    'a containerd',
    () => ({ address: peer.socket, other: stack.socket, ctr: peer.ctr, transfers: false }),
    true,
  ],
])('the client of %s', (_, partsOf, compares) => {
  imagesSuite(() => ({ ...partsOf(), registry: stack.registry }));
  contentSuite(() => partsOf().address, compares);
});
fleetImagesSuite(() => stack);
edgeSuite(edge, () => node, agent);
agentRestartSuite(ours, agent);
gatewayDeathSuite({
  edge,
  node: ours,
  nodeId: () => node,
  kill: () => stack.services.kill('gateway'),
  whenReady: () => stack.services.whenReady('gateway'),
});
packedSuite(() => ({ directory, node: ours(), edge: edge() }));

/** The two servers on this machine must not share runc's state. */
function runcRoot() {
  return runcOptions({ root: join(directory, 'runc') });
}
