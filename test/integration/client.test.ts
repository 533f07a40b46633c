import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { removeCgroup } from '@longshore/linux';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { afterAll, beforeAll, describe } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { containersSuite } from './client/containers.suite.ts';
import { eventsSuite } from './client/events.suite.ts';
import type { Server } from './client/server.ts';
import { serverInfoSuite } from './client/server-info.suite.ts';
import { tasksSuite } from './client/tasks.suite.ts';

/** Of this run: peers of other runs may share the machine. */
const cgroup = `/longshore-client-${randomBytes(3).toString('hex')}`;

let directory: string;
let stack: Stack;
let peer: PeerContainerd;
let imageName: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-client-'));
  [stack, peer] = await Promise.all([startStack(), startContainerd()]);
  imageName = (await pushTestImages(stack.registry)).busybox;
  const pull = ['image', 'pull', '--plain-http', imageName];
  await Promise.all([stack.ctr.ok(pull), peer.ctr.ok(pull)]);
});
afterAll(async () => {
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
  await removeCgroup(cgroup);
  await rm(directory, { recursive: true, force: true });
});

describe.each<[string, () => Server]>([
  [
    'a longshore node',
    () => ({
      address: `unix://${stack.socket}`,
      options: {},
      imageName,
      cgroup,
      runtimeOptions: undefined,
      fifos: join(directory, 'ours'),
    }),
  ],
  [
    'a containerd',
    () => ({
      address: peer.socket,
      options: {},
      imageName,
      cgroup,
      runtimeOptions: runcRoot(),
      fifos: join(directory, 'theirs'),
    }),
  ],
])('the client of %s', (_, serverOf) => {
  containersSuite(serverOf);
  tasksSuite(serverOf);
  eventsSuite(serverOf);
  serverInfoSuite(serverOf);
});

/** The two servers on this machine must not share runc's state. */
function runcRoot() {
  const options = create(OptionsSchema, { root: join(directory, 'runc') });
  return { typeUrl: OptionsSchema.typeName, value: toBinary(OptionsSchema, options) };
}
