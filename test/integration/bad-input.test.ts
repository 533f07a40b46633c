import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pushTestImages, type TestImages } from '../harness/images.ts';
import { type Inventory, takeInventory } from '../harness/inventory.ts';
import { rawCall } from '../harness/raw-call.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let stack: Stack;
let images: TestImages;
let before: Inventory;

beforeAll(async () => {
  stack = await startStack();
  images = await pushTestImages(stack.registry);
  await stack.ctr.ok(['image', 'pull', '--plain-http', images.busybox]);
});
afterAll(() => stack?.close());
beforeEach(async () => {
  before = await takeInventory(stack);
});

/** Collection and the end of a shim follow soon after the call, not within it. */
async function expectNothingAdded(): Promise<void> {
  const same = async () => JSON.stringify(await takeInventory(stack)) === JSON.stringify(before);
  if (!(await waitUntil(same, 10_000))) expect(await takeInventory(stack)).toEqual(before);
}

async function fails(args: string[], message: RegExp | string, namespace = 'default'): Promise<void> {
  const { code, stderr, stdout } = await stack.ctr.run(args, { namespace });
  expect({ code, output: stdout + stderr }).toMatchObject({ code: 1 });
  expect(stderr).toMatch(message);
}

describe('a pull', () => {
  it('of an unknown reference says not found', async () => {
    await fails(
      ['image', 'pull', '--plain-http', `${stack.registry.host}/no/such:1`],
      /no\/such:1: not found/,
    );
    await expectNothingAdded();
  });

  it('from a registry that is not there says connection refused', async () => {
    await fails(['image', 'pull', '--plain-http', '127.0.0.1:1/a/b:1'], /connection refused/);
    await expectNothingAdded();
  });

  it('of a blob whose bytes do not have its digest fails, and keeps nothing', async () => {
    await using liar = await startLiar(stack.registry.host);
    // Not an image whose blobs this node has: those would be linked, and not asked for.
    const reference = images.layered.replace(stack.registry.host, liar.host);
    await fails(
      ['image', 'pull', '--plain-http', reference],
      /unexpected commit digest|failed precondition/,
      'lied-to',
    );
    await expectNothingAdded();
  });
});

describe('a run', () => {
  it('of an image that was never pulled says not found', async () => {
    await fails(['run', '--rm', 'example.com/never:1', 'x'], 'image "example.com/never:1": not found');
    await expectNothingAdded();
  });

  it('under a name that breaks the identifier rule is an invalid argument', async () => {
    await fails(
      ['run', '--rm', images.busybox, 'no spaces'],
      /identifier "no spaces" must match .*: invalid argument/,
    );
    await expectNothingAdded();
  });

  it('in a namespace that breaks the identifier rule is an invalid argument', async () => {
    await fails(['image', 'ls'], /identifier "bad\/name" must match .*: invalid argument/, 'bad/name');
    await expectNothingAdded();
  });

  it('of a command that is not in the image shows the words of runc', async () => {
    await fails(
      ['run', '--rm', images.busybox, 'no-command', '/no/such/command'],
      /OCI runtime create failed: runc create failed: unable to start container process: exec: "\/no\/such\/command": stat \/no\/such\/command: no such file or directory/,
    );
    await expectNothingAdded();
  });

  it('of a spec that runc refuses shows the words of runc', async () => {
    await fails(
      [
        'run',
        '--rm',
        '--mount',
        'type=bind,src=/no/such/source,dst=/x,options=rbind',
        images.busybox,
        'no-mount',
      ],
      /OCI runtime create failed: .*\/no\/such\/source.* no such file or directory/,
    );
    await expectNothingAdded();
  });

  it('with a runtime that this node does not have names the binary', async () => {
    await fails(
      ['run', '--rm', '--runtime', 'io.containerd.nothere.v9', images.busybox, 'no-runtime'],
      /containerd-shim-nothere-v9/,
    );
    await expectNothingAdded();
  });

  it('under a name that is taken already exists, and leaves the first one alone', async () => {
    await stack.ctr.ok(['run', '-d', images.busybox, 'taken', 'sleep', '1000']);
    before = await takeInventory(stack);
    await fails(['run', images.busybox, 'taken', 'true'], /"taken".*: already exists/);
    await expectNothingAdded();
    expect(await stack.ctr.ok(['task', 'ls'])).toMatch(/^taken\s+\d+\s+RUNNING/m);
    await stack.ctr.ok(['task', 'rm', '-f', 'taken']);
    await stack.ctr.ok(['container', 'rm', 'taken']);
  });
});

describe('what is not there', () => {
  it.each([
    [['container', 'info', 'nobody'], 'container "nobody" in namespace "default": not found'],
    [['task', 'kill', 'nobody'], 'container "nobody" in namespace "default": not found'],
    [
      ['image', 'tag', 'example.com/nothing:1', 'example.com/other:1'],
      'image "example.com/nothing:1": not found',
    ],
    [['snapshot', 'info', 'nothing'], /snapshot nothing does not exist: not found/],
    [['content', 'get', `sha256:${'0'.repeat(64)}`], `content digest sha256:${'0'.repeat(64)}: not found`],
  ])('ctr %j says so in the words of containerd', async (args, message) => {
    const { stderr } = await stack.ctr.run(args);
    expect(stderr).toMatch(message);
    await expectNothingAdded();
  });
});

describe('a raw call', () => {
  it.each([
    '/containerd.services.containers.v1.Containers/List',
    '/containerd.services.images.v1.Images/List',
    '/containerd.services.leases.v1.Leases/List',
    '/containerd.services.content.v1.Content/ListStatuses',
    '/containerd.services.tasks.v1.Tasks/List',
  ])('%s without a namespace is a failed precondition', async (method) => {
    expect(await rawCall(stack.socket, method)).toMatchObject({
      code: 9,
      details: expect.stringContaining('namespace is required'),
    });
  });

  it.each([
    '/containerd.services.tasks.v1.Tasks/Checkpoint',
    '/containerd.services.sandbox.v1.Controller/Create',
    '/acme.v1.Unknown/Do',
  ])('%s is not implemented, and says so', async (method) => {
    expect((await rawCall(stack.socket, method, { 'containerd-namespace': 'default' })).code).toBe(12);
  });
});

/** A registry in front of the real one that changes a byte of every blob. */
async function startLiar(registry: string): Promise<AsyncDisposable & { host: string }> {
  const server = createServer(async (request, response) => {
    const accept = request.headers.accept ?? '*/*';
    const answer = await fetch(`http://${registry}${request.url}`, {
      method: request.method!,
      headers: { accept },
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (request.url!.includes('/blobs/')) bytes[bytes.length - 9]! ^= 1;
    const kept = ['content-type', 'docker-content-digest', 'content-length'];
    const headers = kept
      .flatMap((name) => [[name, answer.headers.get(name)] as const])
      .filter(([, value]) => value);
    response.writeHead(answer.status, Object.fromEntries(headers) as Record<string, string>);
    response.end(request.method === 'HEAD' ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
