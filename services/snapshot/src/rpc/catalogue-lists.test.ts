import { Header } from '@longshore/proto/headers';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller, refusal, snapshotter } from '../testing/caller.ts';
import { type ServiceUnderTest, startSnapshotService } from '../testing/snapshot-service.ts';

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startSnapshotService();
});

afterAll(() => service.close());

describe('CatalogueService.Update', () => {
  const update = (caller: Caller, key: string, labels: Record<string, string>, ...paths: string[]) =>
    service.catalogue
      .update({ snapshotter, key, labels, updateMask: { paths } }, caller.options)
      .then((answer) => answer.snapshot!.labels);

  it('changes labels by mask', async () => {
    const caller = new Caller(service);
    await caller.prepare('key', '', { labels: { keep: '1', 'a.b/c': '2', drop: '3' } });
    expect(
      await update(caller, 'key', { 'a.b/c': 'new', other: 'x' }, 'labels.a.b/c', 'labels.drop'),
    ).toEqual({
      keep: '1',
      'a.b/c': 'new',
    });
    expect(await update(caller, 'key', { only: 'x' }, 'labels')).toEqual({ only: 'x' });
    expect(await update(caller, 'key', {})).toEqual({});
    expect(await refusal(update(caller, 'key', {}, 'parent'))).toBe(
      'InvalidArgument: cannot update "parent" field on snapshot "key": invalid argument',
    );
    expect(await refusal(update(caller, 'nothing', {}))).toMatch(
      /^NotFound: snapshot nothing does not exist/,
    );
  });
});

describe('CatalogueService.List', () => {
  it('filters by kind, name, parent and labels, in byte order', async () => {
    const caller = new Caller(service);
    await caller.layer('b');
    await caller.layer('B', 'b');
    await caller.prepare('a', 'B', { labels: { 'x.y': '1' } });
    await caller.prepare('v', 'b', { kind: Kind.VIEW });
    expect(await caller.list()).toEqual(['B', 'a', 'b', 'v']);
    expect(await caller.list('kind==committed')).toEqual(['B', 'b']);
    expect(await caller.list('parent==""')).toEqual(['b']);
    expect(await caller.list('parent==b,kind==view', 'labels."x.y"')).toEqual(['a', 'v']);
    expect(await refusal(caller.list('kind==='))).toMatch(/^InvalidArgument/);
  });
});

describe('CatalogueService tombstones', () => {
  it('lists a node across its namespaces, until they are confirmed', async () => {
    const caller = new Caller(service);
    const first = await caller.prepare('one');
    await caller.remove('one');
    caller.scope.namespace = 'elsewhere';
    const second = await caller.prepare('one');
    const kept = await caller.prepare('two');
    await caller.remove('one');
    const node = { headers: { [Header.Node]: caller.scope.node } };
    const { tombstones } = await service.catalogue.listTombstones({}, node);
    expect(tombstones.map((one) => one.generation)).toEqual([first.generation, second.generation]);
    expect((await service.catalogue.listTombstones({ limit: 1 }, node)).tombstones).toHaveLength(1);

    const generations: string[] = [];
    for await (const block of service.catalogue.listGenerations({ snapshotter }, node)) {
      generations.push(...block.generations);
    }
    expect(generations.sort()).toEqual([first, second, kept].map((one) => one.generation).sort());

    await service.catalogue.confirmTombstones({ generations: [first.generation, 'unknown'] }, node);
    expect(await caller.tombstones()).toEqual([second.generation]);
  });
});
