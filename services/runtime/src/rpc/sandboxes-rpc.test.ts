import type { MessageInitShape } from '@bufbuild/protobuf';
import type { SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import type { CallOptions } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { refusal } from '../testing/refusal.ts';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

type Init = MessageInitShape<typeof SandboxSchema>;

let runtime: RuntimeFixture;
let counter = 0;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

afterAll(() => runtime.close());

function inScope(namespace = 'default', node = 'n1'): CallOptions {
  return { headers: { 'containerd-namespace': namespace, 'longshore-node': node } };
}

const any = (typeUrl: string, ...bytes: number[]) => ({ typeUrl, value: Buffer.from(bytes) });

async function create(change: Init = {}) {
  const init = {
    sandboxId: `s${++counter}`,
    runtime: { name: 'io.containerd.runc.v2', options: any('test.Options', 1) },
    spec: any('test.Spec', 2),
    labels: { a: '1', 'b.c': '2' },
    extensions: { one: any('test.One', 3) },
    sandboxer: 'podsandbox',
    ...change,
  };
  const { sandbox } = await runtime.sandboxes.create({ sandbox: init as Init }, inScope());
  return sandbox!;
}

async function get(sandboxId: string) {
  return (await runtime.sandboxes.get({ sandboxId }, inScope())).sandbox!;
}

function update(sandbox: Init, ...fields: string[]) {
  return runtime.sandboxes.update({ sandbox, fields }, inScope()).then((answer) => answer.sandbox!);
}

describe('Store.Create', () => {
  it('keeps what it is given and sets the times', async () => {
    const created = await create({ createdAt: { seconds: 1n } });
    expect(created).toMatchObject({
      runtime: { name: 'io.containerd.runc.v2', options: { typeUrl: 'test.Options' } },
      spec: { typeUrl: 'test.Spec', value: Buffer.from([2]) },
      labels: { a: '1', 'b.c': '2' },
      extensions: { one: { typeUrl: 'test.One', value: Buffer.from([3]) } },
      sandboxer: 'podsandbox',
      createdAt: created.updatedAt,
    });
    expect(Number(created.createdAt!.seconds)).toBeGreaterThan(1_700_000_000);
    expect(await get(created.sandboxId)).toEqual(created);
  });

  it('needs nothing but an id', async () => {
    const { sandbox } = await runtime.sandboxes.create({ sandbox: { sandboxId: 'bare' } }, inScope());
    expect(sandbox).toMatchObject({ sandboxId: 'bare', runtime: { name: '' }, labels: {}, extensions: {} });
    expect(sandbox!.spec).toBeUndefined();
    expect(await get('bare')).toEqual(sandbox);
  });

  it('refuses an id that is taken, in this scope only', async () => {
    const { sandboxId } = await create();
    expect(await refusal(create({ sandboxId }))).toBe(
      `AlreadyExists: sandbox "${sandboxId}" in namespace "default": already exists`,
    );
    await runtime.sandboxes.create({ sandbox: { sandboxId } }, inScope('default', 'n2'));
  });

  it('refuses an id that is no identifier, and no sandbox at all', async () => {
    expect(await refusal(create({ sandboxId: 'a/b' }))).toMatch(
      /^InvalidArgument: sandbox ID validation: identifier "a\/b"/,
    );
    expect(await refusal(runtime.sandboxes.create({}, inScope()))).toBe(
      'InvalidArgument: sandbox must be set: invalid argument',
    );
  });
});

describe('Store.Update', () => {
  it('changes the fields named, and nothing else', async () => {
    const { sandboxId } = await create();
    const updated = await update(
      { sandboxId, labels: { 'b.c': '', d: '4' }, extensions: { two: any('test.Two') }, sandboxer: 'no' },
      'labels.b.c',
      'labels.d',
      'extensions.one',
      'extensions.two',
    );
    expect(updated.labels).toEqual({ a: '1', d: '4' });
    expect(Object.keys(updated.extensions)).toEqual(['two']);
    expect(updated).toMatchObject({ sandboxer: 'podsandbox', spec: { typeUrl: 'test.Spec' } });
    expect(updated.updatedAt).not.toEqual(updated.createdAt);
    expect(await get(sandboxId)).toEqual(updated);
  });

  it('may give it another runtime by mask', async () => {
    const { sandboxId } = await create();
    const updated = await update(
      { sandboxId, runtime: { name: 'other' }, spec: any('s') },
      'runtime',
      'spec',
    );
    expect(updated).toMatchObject({ runtime: { name: 'other' }, spec: { typeUrl: 's' } });
    expect(updated.runtime!.options).toBeUndefined();
  });

  it('replaces all of it without fields, but not the name of the runtime', async () => {
    const { sandboxId } = await create();
    const runtimeName = { name: 'io.containerd.runc.v2' };
    const updated = await update({ sandboxId, runtime: runtimeName, labels: { z: '1' } });
    expect(updated).toMatchObject({ labels: { z: '1' }, extensions: {}, sandboxer: 'podsandbox' });
    expect(updated.spec).toBeUndefined();
    expect(await refusal(update({ sandboxId, runtime: { name: 'other' } }))).toBe(
      'InvalidArgument: sandbox.Runtime.Name field is immutable: invalid argument',
    );
  });

  it('refuses other fields, and ids that are not there', async () => {
    const { sandboxId } = await create();
    expect(await refusal(update({ sandboxId }, 'sandboxer'))).toBe(
      `InvalidArgument: cannot update "sandboxer" field on sandbox "${sandboxId}": invalid argument`,
    );
    expect(await refusal(update({ sandboxId: 'gone' }, 'labels'))).toBe(
      'NotFound: sandbox "gone" in namespace "default": not found',
    );
  });
});

describe('Store.List', () => {
  it('answers in byte order, filtered by id and labels', async () => {
    const scope = inScope('lists');
    for (const [sandboxId, labels] of [
      ['b', { tier: 'web' }],
      ['B', {}],
      ['a', { tier: 'db' }],
    ] as const) {
      await runtime.sandboxes.create({ sandbox: { sandboxId, labels } }, scope);
    }
    const ids = async (...filters: string[]) =>
      (await runtime.sandboxes.list({ filters }, scope)).list.map(({ sandboxId }) => sandboxId);
    expect(await ids()).toEqual(['B', 'a', 'b']);
    expect(await ids('labels.tier==web', 'id==B')).toEqual(['B', 'b']);
    expect(await refusal(ids('=='))).toMatch(/^InvalidArgument/);
  });
});

describe('Store.Delete', () => {
  it('removes it once, asks for a collection and causes no event', async () => {
    const { sandboxId } = await create();
    runtime.content.collections.length = 0;
    await runtime.sandboxes.delete({ sandboxId }, inScope());
    const gone = `NotFound: sandbox "${sandboxId}" in namespace "default": not found`;
    expect(await refusal(runtime.sandboxes.delete({ sandboxId }, inScope()))).toBe(gone);
    expect(await refusal(get(sandboxId))).toBe(gone);
    await vi.waitFor(() => expect(runtime.content.collections).toEqual(['default n1']), 10_000);
    expect(await runtime.topics(sandboxId)).toEqual([]);
  });
});
