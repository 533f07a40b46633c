import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../testing/refusal.ts';
import { RuntimeFixture } from '../testing/runtime-fixture.ts';

let runtime: RuntimeFixture;

beforeAll(async () => {
  runtime = await RuntimeFixture.start();
});

afterAll(() => runtime.close());

const CONTAINER = { runtime: { name: 'runc' }, spec: { typeUrl: 'spec', value: new Uint8Array([1]) } };

function on(node: string, namespace = 'default') {
  return { headers: { 'containerd-namespace': namespace, 'longshore-node': node } };
}

describe('ContainerService', () => {
  it('finds the nodes of a container, in the namespace', async () => {
    for (const node of ['n2', 'n1'])
      await runtime.containers.create({ container: { ...CONTAINER, id: 'a' } }, on(node));
    await runtime.containers.create({ container: { ...CONTAINER, id: 'a' } }, on('n3', 'other'));
    expect((await runtime.fleetContainers.find({ id: 'a' }, on('_'))).nodes).toEqual(['n1', 'n2']);
    expect((await runtime.fleetContainers.find({ id: 'b' }, on('_'))).nodes).toEqual([]);
  });

  it('keeps a marked container as it is until its node agrees, and only then tells of its end', async () => {
    const container = { ...CONTAINER, id: 'marked' };
    await runtime.containers.create({ container }, on('n1'));
    expect(await refusal(runtime.fleetContainers.confirmDeleting({ id: 'marked' }, on('n1')))).toMatch(
      /^NotFound/,
    );
    await runtime.fleetContainers.markDeleting({ id: 'marked' }, on('n1'));
    await runtime.fleetContainers.markDeleting({ id: 'marked' }, on('n1'));
    expect((await runtime.containers.get({ id: 'marked' }, on('n1'))).container!.id).toBe('marked');
    expect(await refusal(runtime.containers.create({ container }, on('n1')))).toMatch(/^AlreadyExists/);
    expect(await refusal(runtime.containers.update({ container }, on('n1')))).toBe(
      'FailedPrecondition: container "marked": is being deleted: failed precondition',
    );
    expect(await runtime.topics('marked')).toEqual(['/containers/create']);
    await runtime.fleetContainers.confirmDeleting({ id: 'marked' }, on('n1'));
    expect(await runtime.topics('marked')).toEqual(['/containers/create', '/containers/delete']);
    expect(await refusal(runtime.fleetContainers.markDeleting({ id: 'marked' }, on('n1')))).toMatch(
      /^NotFound/,
    );
  });

  it('lets the node itself delete a marked one', async () => {
    await runtime.containers.create({ container: { ...CONTAINER, id: 'own' } }, on('n1'));
    await runtime.fleetContainers.markDeleting({ id: 'own' }, on('n1'));
    await runtime.containers.delete({ id: 'own' }, on('n1'));
    expect(await runtime.topics('own')).toEqual(['/containers/create', '/containers/delete']);
  });
});
