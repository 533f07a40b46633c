import { randomBytes } from 'node:crypto';
import { parseFilters } from '@longshore/filters';
import type { Pool } from '@longshore/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContainerRepository } from '../storage/postgres/container-repository.ts';
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

  it('finds the nodes that may have a match for filters, in the namespace', async () => {
    const make = (node: string, id: string, more: object, namespace = 'filtered') =>
      runtime.containers.create({ container: { ...CONTAINER, id, ...more } }, on(node, namespace));
    const long = `${'x'.repeat(256)}${randomBytes(4_000).toString('hex')}`;
    await make('n1', 'a', { image: 'one', labels: { app: 'a', 'o"dd.key': 'x' } });
    await make('n1', 'b', { image: 'two' });
    await make('n2', 'c', { image: 'two', runtime: { name: 'other' }, labels: { app: 'c' } });
    await make('n3', 'd', { image: long });
    await make('n4', 'a', { image: 'one', labels: { app: 'a' } }, 'elsewhere');
    const find = async (...filters: string[]) => {
      const { nodes, anyNode } = await runtime.fleetContainers.find({ filters }, on('_', 'filtered'));
      return anyNode ? 'any' : nodes.join();
    };
    expect(await find('labels.app==a')).toBe('n1');
    expect(await find('labels.app')).toBe('n1,n2');
    expect(await find('labels."o\\"dd.key"==x')).toBe('n1');
    expect(await find('image==two')).toBe('n1,n2');
    expect(await find('image==two,runtime.name==other')).toBe('n2');
    expect(await find('id==d', 'labels.app==a')).toBe('n1,n3');
    expect(await find(`image==${long}`)).toBe('n3');
    expect(await find(`image==${long.slice(0, -1)}`)).toBe('');
    expect(await find('image==none')).toBe('');
    expect(await find('image!=one')).toBe('any');
    expect(await find('id==d', 'image~=o')).toBe('any');
    expect(await find('labels."longshore.io/deleting"==true')).toBe('any');
    expect(await refusal(find('image=='))).toMatch(/^InvalidArgument: filters/);
  });

  it('looks filters up in indexes', async () => {
    await runtime.pool.query(
      `INSERT INTO containers (namespace, node, id, revision, labels, image, runtime_name, spec_type_url, spec)
       SELECT 'many', 'n' || n % 1000, 'c' || n, n, jsonb_build_object('app', 'app-' || n % 1000, 'tier', 'web'),
         'registry.example.net/app-' || n % 1000, 'runc', 'spec', '\\x01' FROM generate_series(1, 20000) n`,
    );
    await runtime.pool.query('ANALYZE containers');
    const plans: string[] = [];
    const pool = {
      query: async (text: string, values: unknown[]) => {
        const { rows } = await runtime.pool.query(`EXPLAIN ${text}`, values);
        plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
        return runtime.pool.query(text, values);
      },
    } as unknown as Pool;
    const repository = new ContainerRepository(pool);
    const nodes = (filters: string[]) => repository.nodesMatching('many', parseFilters(filters));
    expect(await nodes(['labels.app==app-7'])).toEqual(['n7']);
    expect(await nodes(['image==registry.example.net/app-8'])).toEqual(['n8']);
    expect(await nodes(['id==c7', 'labels.app==app-9'])).toEqual(['n7', 'n9']);
    expect(plans).toEqual([
      expect.stringContaining('containers_labels'),
      expect.stringContaining('containers_image'),
      expect.stringMatching(/BitmapOr.*containers_id.*containers_labels/s),
    ]);
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
