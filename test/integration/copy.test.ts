import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { kindOf, messageOf } from '@longshore/errors';
import type { ServiceName } from '@longshore/local';
import { ContainerSchema, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content, InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { ImageSchema, Images } from '@longshore/proto/containerd/services/images/v1/images';
import { NamespaceSchema, Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import { Header } from '@longshore/proto/headers';
import { NodeAdminService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type CallOptions, Channel, createClient } from '@longshore/rpc';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages, type TestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const CONTROL_PLANE: ServiceName[] = ['content', 'image', 'snapshot', 'runtime', 'events', 'gateway'];

let stack: Stack;
let images: TestImages;
let nodeId: string;
const channels: Channel[] = [];

/** Clients of the node socket, and of the services themselves, in this node's scope. */
let node: Clients;
let services: Clients;
type Clients = ReturnType<typeof clientsOf>;

function clientsOf(addressOf: (service: ServiceName) => string) {
  const channel = (service: ServiceName) => {
    const opened = new Channel(addressOf(service));
    channels.push(opened);
    return opened;
  };
  return {
    containers: createClient(Containers, channel('runtime')),
    sandboxes: createClient(Store, channel('runtime')),
    images: createClient(Images, channel('image')),
    content: createClient(Content, channel('content')),
    namespaces: createClient(Namespaces, channel('content')),
    tasks: createClient(Tasks, channel('agent')),
    nodes: createClient(NodeAdminService, channel('runtime')),
  };
}

beforeAll(async () => {
  stack = await startStack({ env: { LONGSHORE_HEARTBEAT_MS: '500' } });
  images = await pushTestImages(stack.registry);
  nodeId = (JSON.parse(readFileSync(join(stack.root, 'node.json'), 'utf8')) as { id: string }).id;
  node = clientsOf(() => `unix://${stack.socket}`);
  services = clientsOf((service) => `unix://${join(stack.state, `${service}.sock`)}`);
  await stack.ctr.ok(['image', 'pull', '--plain-http', images.busybox]);
});
afterAll(async () => {
  for (const channel of channels) channel.close();
  await stack?.close();
});

const inNamespace = (namespace = 'default'): CallOptions => ({
  headers: { [Header.Namespace]: namespace, [Header.Node]: nodeId },
});

/** What a client is told, as plain data: the answer, or the error. */
async function told(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return { kind: kindOf(error), message: messageOf(error) };
  }
}

const plain = <S extends DescMessage>(schema: S, message: MessageShape<S> | undefined) =>
  message && toJson(schema, message);

async function all<T>(answers: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const answer of answers) list.push(answer);
  return list;
}

/** Questions of every kind that the copy answers, right and wrong ones. */
function questions(
  { containers, sandboxes, images: imageClient, content, namespaces }: Clients,
  digest: string,
) {
  const on = inNamespace();
  const listContainers = async (...filters: string[]) =>
    (await containers.list({ filters }, on)).containers.map((one) => plain(ContainerSchema, one));
  const listImages = async (...filters: string[]) =>
    (await imageClient.list({ filters }, on)).images.map((one) => plain(ImageSchema, one));
  const listContent = async (...filters: string[]) =>
    (await all(content.list({ filters }, on))).flatMap(({ info }) =>
      info.map((one) => plain(InfoSchema, one)),
    );
  const listSandboxes = async (...filters: string[]) =>
    (await sandboxes.list({ filters }, on)).list.map((one) => plain(SandboxSchema, one));
  const read = async (offset = 0n, size = 0n, namespace = 'default', name = digest) =>
    Buffer.concat(
      (await all(content.read({ digest: name, offset, size }, inNamespace(namespace)))).map(
        ({ data }) => data,
      ),
    ).toString('latin1');
  return [
    async () => plain(ContainerSchema, (await containers.get({ id: 'asked' }, on)).container),
    async () => plain(ContainerSchema, (await containers.get({ id: 'large' }, on)).container),
    async () => containers.get({ id: 'nobody' }, on),
    async () => containers.get({ id: 'no/body' }, on),
    async () => containers.get({ id: 'asked' }, inNamespace('')),
    async () => containers.get({ id: 'asked' }, inNamespace('no/where')),
    async () => containers.get({ id: 'asked' }, inNamespace('elsewhere')),
    async () => listContainers(),
    async () => listContainers('id==asked', 'id~=^ask'),
    async () => listContainers('runtime.name==io.containerd.runc.v2,labels.a!=b'),
    async () => listContainers('labels."a.b/c"==d'),
    async () => listContainers('image'),
    async () => listContainers('id==='),
    async () => (await all(containers.listStream({}, on))).map(({ container }) => container?.id),
    async () => plain(ImageSchema, (await imageClient.get({ name: images.busybox }, on)).image),
    async () => imageClient.get({ name: 'nothing' }, on),
    async () => imageClient.get({ name: '' }, on),
    async () => listImages(),
    async () => listImages(`name==${images.busybox}`),
    async () => listImages('target.digest~=sha256', 'annotations.x'),
    async () => listImages('target.mediatype!=x,labels.y'),
    async () => plain(InfoSchema, (await content.info({ digest }, on)).info),
    async () => content.info({ digest: `sha256:${'0'.repeat(64)}` }, on),
    async () => content.info({ digest: 'sha256:short' }, on),
    async () => content.info({ digest }, inNamespace('elsewhere')),
    async () => listContent(),
    async () => listContent(`digest==${digest}`),
    async () => listContent('labels."containerd.io/gc.ref.content.config"'),
    async () => listContent('digest~=['),
    async () => read(),
    async () => read(10n, 20n),
    async () => read(-3n, 5n),
    async () => read(10n, -1n),
    async () => read(1_000_000n),
    async () => read(0n, 0n, 'elsewhere'),
    async () => read(0n, 0n, 'default', 'sha256:short'),
    async () => plain(SandboxSchema, (await sandboxes.get({ sandboxId: 'pod' }, on)).sandbox),
    async () => sandboxes.get({ sandboxId: 'nobody' }, on),
    async () => listSandboxes(),
    async () => listSandboxes('id==pod,labels.x==y'),
    async () => listSandboxes('labels.z'),
    async () => (await namespaces.list({}, on)).namespaces.map((one) => plain(NamespaceSchema, one)),
    async () => plain(NamespaceSchema, (await namespaces.get({ name: 'labelled' }, on)).namespace),
    async () => plain(NamespaceSchema, (await namespaces.get({ name: 'nowhere' }, on)).namespace),
  ];
}

const digests = async (namespace?: string) =>
  (await stack.ctr.ok(['content', 'ls', '-q'], namespace ? { namespace } : {})).split('\n').filter(Boolean);

const manifestDigest = async () =>
  (await node.images.get({ name: images.busybox }, inNamespace())).image!.target!.digest;

describe("the agent's copy", () => {
  it('answers as the services do', async () => {
    await stack.ctr.ok(['container', 'create', '--label', 'a.b/c=d', images.busybox, 'asked', 'true']);
    await stack.ctr.ok(['namespaces', 'create', 'labelled', 'x=y']);
    await stack.ctr.ok(['image', 'tag', images.busybox, 'example.test/other:2']);
    await node.sandboxes.create(
      { sandbox: { sandboxId: 'pod', labels: { x: 'y' }, runtime: { name: 'r' } } },
      inNamespace(),
    );
    // More than a trailer has room for.
    const spec = { typeUrl: 'spec', value: Buffer.alloc(100_000, 'x') };
    await node.containers.create({ container: { id: 'large', runtime: { name: 'r' }, spec } }, inNamespace());
    const digest = await manifestDigest();
    const [atNode, atServices] = [questions(node, digest), questions(services, digest)];
    for (const [index, ask] of atNode.entries()) {
      expect([index, await told(ask)]).toEqual([index, await told(atServices[index]!)]);
    }
    // The same again, now that the blob was read once.
    for (const [index, ask] of atNode.entries()) {
      expect([index, await told(ask)]).toEqual([index, await told(atServices[index]!)]);
    }
    await node.sandboxes.delete({ sandboxId: 'pod' }, inNamespace());
    await node.containers.delete({ id: 'large' }, inNamespace());
    await stack.ctr.ok(['container', 'rm', 'asked']);
    await stack.ctr.ok(['image', 'rm', 'example.test/other:2']);
    await stack.ctr.ok(['namespaces', 'rm', 'labelled']);
  });

  it('has heard of a collection when the caller who waited for it asks', async () => {
    const options = { namespace: 'collected' };
    for (let n = 0; n < 3; n++) {
      await stack.ctr.ok(['image', 'pull', '--plain-http', images.layered], options);
      expect(await digests('collected')).not.toEqual([]);
      await stack.ctr.ok(['image', 'rm', '--sync', images.layered], options);
      expect(await digests('collected')).toEqual([]);
      expect((await stack.ctr.ok(['snapshot', 'ls'], options)).trim().split('\n')).toHaveLength(1);
    }
  });

  it("follows its own callers' changes at once", async () => {
    await stack.ctr.ok(['container', 'create', images.busybox, 'changed', 'true']);
    for (const value of ['1', '2', '3']) {
      await stack.ctr.ok(['container', 'label', 'changed', `n=${value}`]);
      expect(JSON.parse(await stack.ctr.ok(['container', 'info', 'changed'])).Labels.n).toBe(value);
    }
    await stack.ctr.ok(['container', 'rm', 'changed']);
    expect((await stack.ctr.run(['container', 'info', 'changed'])).stderr).toContain('not found');
  });

  it('hears soon of what others do', async () => {
    await stack.ctr.ok(['container', 'create', images.busybox, 'foreign', 'true']);
    const foreign = async () => (await node.containers.get({ id: 'foreign' }, inNamespace())).container;
    await services.containers.update(
      { container: { id: 'foreign', labels: { by: 'others' } }, updateMask: { paths: ['labels.by'] } },
      inNamespace(),
    );
    expect(await waitUntil(async () => (await foreign())?.labels.by === 'others')).toBe(true);
    await services.containers.delete({ id: 'foreign' }, inNamespace());
    expect(await waitUntil(() => isGone('foreign'))).toBe(true);
  });

  it('hears of what is changed in the database, whoever did it', async () => {
    await stack.ctr.ok(['container', 'create', images.busybox, 'elsewhere', 'true']);
    const client = new pg.Client({ connectionString: stack.databaseUrl });
    await client.connect();
    await client.query(`DELETE FROM runtime.containers WHERE id = 'elsewhere'`);
    await client.end();
    expect(await waitUntil(() => isGone('elsewhere'))).toBe(true);
  });
});

async function isGone(id: string): Promise<boolean> {
  const error = await node.containers.get({ id }, inNamespace()).then(() => undefined, kindOf);
  return error === 'NotFound';
}

describe('with the control plane away', () => {
  const bundle = 'trap "exit 5" TERM; sleep 100000 & wait';

  it('reads, exec and kill go on, writes fail at once, and all is well afterwards', async () => {
    await stack.ctr.ok(['run', '-d', images.busybox, 'runner', 'sh', '-c', bundle]);
    const manifest = await manifestDigest();
    const config = JSON.parse(await stack.ctr.ok(['content', 'get', manifest])).config.digest as string;
    await services.nodes.setCordon({ id: nodeId, cordoned: true });
    expect(await waitUntil(isCordoned)).toBe(true);
    await Promise.all(CONTROL_PLANE.map((service) => stack.services.stop(service)));

    await expectReads(manifest, config);
    // The next agent has it from its disk.
    await stack.services.kill('agent');
    await stack.services.whenReady('agent');
    await expectReads(manifest, config);
    expect(await isCordoned()).toBe(true);

    await expectRefused('service "content"', () => node.content.delete({ digest: manifest }, inNamespace()));
    await expectRefused('service "image"', () => node.images.delete({ name: images.busybox }, inNamespace()));
    await expectRefused('service "runtime"', () => node.containers.delete({ id: 'runner' }, inNamespace()));
    await expectRefused('', () => stack.ctr.ok(['snapshot', 'rm', 'runner']));

    await stack.ctr.ok(['task', 'kill', '-s', 'TERM', 'runner']);
    expect(
      await waitUntil(async () => /^runner\s+\d+\s+STOPPED/m.test(await stack.ctr.ok(['task', 'ls']))),
    ).toBe(true);

    for (const service of CONTROL_PLANE) await stack.services.start(service);
    await services.nodes.setCordon({ id: nodeId, cordoned: false });
    expect(await waitUntil(async () => !(await isCordoned()))).toBe(true);
    expect((await stack.ctr.run(['task', 'rm', 'runner'])).stderr).toContain('exit code 5');
    const canWrite = async () => (await stack.ctr.run(['container', 'label', 'runner', 'x=y'])).code === 0;
    expect(await waitUntil(canWrite)).toBe(true);
    expect(JSON.parse(await stack.ctr.ok(['container', 'info', 'runner'])).Labels.x).toBe('y');
    await services.containers.delete({ id: 'runner' }, inNamespace());
    expect(await waitUntil(() => isGone('runner'))).toBe(true);
  });

  /** The node takes no new task. */
  async function isCordoned(): Promise<boolean> {
    const create = node.tasks.create({ containerId: 'nobody' }, inNamespace());
    return (await create.then(() => undefined, kindOf)) === 'FailedPrecondition';
  }

  async function expectRefused(subject: string, write: () => Promise<unknown>): Promise<void> {
    const started = performance.now();
    await expect(write()).rejects.toThrow(new RegExp(`${subject}.*unavailable`, 'is'));
    expect([subject, performance.now() - started < 1_000]).toEqual([subject, true]);
  }

  async function expectReads(manifest: string, config: string): Promise<void> {
    const { ctr } = stack;
    expect(await ctr.ok(['container', 'ls', '-q'])).toBe('runner\n');
    expect(JSON.parse(await ctr.ok(['container', 'info', 'runner'])).ID).toBe('runner');
    expect(await ctr.ok(['image', 'ls'])).toContain(images.busybox);
    expect(await ctr.ok(['content', 'ls', '-q'])).toContain(manifest);
    expect(JSON.parse(await ctr.ok(['content', 'get', manifest])).config.digest).toBe(config);
    expect(JSON.parse(await ctr.ok(['content', 'get', config])).rootfs.type).toBe('layers');
    expect(await ctr.ok(['snapshot', 'ls'])).toMatch(/^runner .*Active/m);
    expect(await ctr.ok(['snapshot', 'mounts', '/nowhere', 'runner'])).toContain('lowerdir=');
    expect(await ctr.ok(['snapshot', 'usage', 'runner'])).toContain('runner');
    expect(await ctr.ok(['namespaces', 'ls', '-q'])).toContain('default');
    expect(await ctr.ok(['task', 'ls'])).toMatch(/^runner\s+\d+\s+RUNNING/m);
    const exec = await ctr.run([
      'task',
      'exec',
      '--exec-id',
      'e',
      'runner',
      'sh',
      '-c',
      'echo inside; exit 9',
    ]);
    expect(exec).toMatchObject({ code: 9, stdout: 'inside\n' });
  }
});
