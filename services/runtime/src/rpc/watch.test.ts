import { toBinary } from '@bufbuild/protobuf';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import { HearingNode } from '@longshore/rpc/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

let runtime: RuntimeFixture;
let node: HearingNode;
let counter = 0;

const spec = { typeUrl: 'test.Spec', value: Buffer.from([1, 2]) };
const container = {
  id: 'c1',
  image: 'redis',
  labels: { a: '1' },
  runtime: { name: 'io.containerd.runc.v2' },
  spec,
};
const sandbox = {
  sandboxId: 's1',
  runtime: { name: 'io.containerd.runc.v2' },
  spec,
  extensions: { one: spec },
  sandboxer: 'podsandbox',
};

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

beforeEach(async () => {
  counter += 1;
  node = new HearingNode(runtime.watch, `n${counter}`);
  await node.hear();
});

afterAll(() => runtime.close());

/** The one record that both ways have told of since the last time. */
async function heard() {
  const { reported, watched } = await node.hear();
  expect(watched).toEqual(reported);
  expect(reported).toHaveLength(1);
  return reported[0]!;
}

describe('records of containers', () => {
  const get = async () => {
    const answer = await runtime.containers.get({ id: 'c1' }, node.options);
    return toBinary(ContainerSchema, answer.container!);
  };

  it('are in the trailers of every change as the watch tells them, with what Get answers', async () => {
    await runtime.containers.create({ container }, node.options);
    const created = await heard();
    expect(created).toMatchObject({ kind: 'container', namespace: 'default', key: 'c1', value: await get() });
    const changed = { ...container, labels: { b: '2' } };
    await runtime.containers.update({ container: changed, updateMask: { paths: ['labels'] } }, node.options);
    const updated = await heard();
    expect(updated).toMatchObject({ key: 'c1', deleted: false, deleting: false, value: await get() });
    await runtime.containers.delete({ id: 'c1' }, node.options);
    const deleted = await heard();
    expect(deleted).toMatchObject({ kind: 'container', key: 'c1', deleted: true });
    expect([created, updated, deleted].map(({ revision }) => revision)).toEqual(
      [created, updated, deleted].map(({ revision }) => revision).sort((a, b) => Number(a - b)),
    );
    expect(deleted.revision).toBeGreaterThan(updated.revision);
  });

  it('say which are to go once their node agrees', async () => {
    await runtime.containers.create({ container }, node.options);
    await heard();
    await runtime.fleetContainers.markDeleting({ id: 'c1' }, node.options);
    const { watched } = await node.hear();
    expect(watched).toMatchObject([{ key: 'c1', deleted: false, deleting: true, value: await get() }]);
    await runtime.fleetContainers.confirmDeleting({ id: 'c1' }, node.options);
    expect((await node.hear()).watched).toMatchObject([{ key: 'c1', deleted: true }]);
  });
});

describe('records of sandboxes', () => {
  it('are in the trailers of every change as the watch tells them, with what Get answers', async () => {
    const get = async () => {
      const answer = await runtime.sandboxes.get({ sandboxId: 's1' }, node.options);
      return toBinary(SandboxSchema, answer.sandbox!);
    };
    await runtime.sandboxes.create({ sandbox }, node.options);
    expect(await heard()).toMatchObject({ kind: 'sandbox', key: 's1', value: await get() });
    const changed = { ...sandbox, labels: { b: '2' } };
    await runtime.sandboxes.update({ sandbox: changed, fields: ['labels'] }, node.options);
    const updated = await heard();
    expect(updated).toMatchObject({ key: 's1', value: await get() });
    await runtime.sandboxes.delete({ sandboxId: 's1' }, node.options);
    const deleted = await heard();
    expect(deleted).toMatchObject({ kind: 'sandbox', key: 's1', deleted: true });
    expect(deleted.revision).toBeGreaterThan(updated.revision);
  });
});
