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

describe('CatalogueService.Prepare', () => {
  it('records an active snapshot and names the generations of its ancestors, nearest first', async () => {
    const caller = new Caller(service);
    const base = await caller.layer('base');
    const top = await caller.layer('top', 'base');
    const prepared = await caller.prepare('container', 'top', {
      labels: { a: 'b', empty: '' },
      generation: 'cafe',
    });
    expect(prepared).toMatchObject({
      name: 'container',
      parent: 'top',
      snapshotter,
      kind: Kind.ACTIVE,
      generation: 'cafe',
      labels: { a: 'b' },
      ancestorGenerations: [top.generation, base.generation],
      size: 0n,
    });
    expect((await caller.get('container')).ancestorGenerations).toEqual([top.generation, base.generation]);
  });

  it('reports the event of an active snapshot and none of a view', async () => {
    const caller = new Caller(service);
    await caller.layer('base');
    caller.events.length = 0;
    await caller.prepare('view', 'base', { kind: Kind.VIEW });
    expect(caller.events).toEqual([]);
    await caller.prepare('active', 'base');
    expect(caller.events).toEqual([['/snapshot/prepare', { key: 'active', parent: 'base', snapshotter }]]);
  });

  it('refuses in the words of containerd', async () => {
    const caller = new Caller(service);
    await caller.layer('base');
    await caller.prepare('active', 'base');
    expect(await refusal(caller.prepare('active'))).toBe('AlreadyExists: snapshot "active": already exists');
    expect(await refusal(caller.prepare('base'))).toBe('AlreadyExists: snapshot "base": already exists');
    expect(await refusal(caller.prepare('new', 'nowhere'))).toBe(
      'NotFound: parent snapshot nowhere does not exist: not found',
    );
    expect(await refusal(caller.prepare('new', 'active'))).toBe(
      'InvalidArgument: failed to create snapshot: parent "active" is not committed snapshot: invalid argument',
    );
    expect(await refusal(caller.prepare('new', '', { labels: { 'longshore.io/node': 'x' } }))).toMatch(
      /^InvalidArgument: label "longshore.io\/node" is reserved/,
    );
    expect(await refusal(caller.prepare('new', '', { labels: { long: 'x'.repeat(4096) } }))).toMatch(
      /^InvalidArgument/,
    );
    expect(await caller.list()).toEqual(['active', 'base']);
  });

  it('refuses a snapshot whose target is there already', async () => {
    const caller = new Caller(service);
    await caller.layer('sha256:target');
    const labels = { 'containerd.io/snapshot.ref': 'sha256:target' };
    expect(await refusal(caller.prepare('extract', '', { labels }))).toBe(
      'AlreadyExists: target snapshot "sha256:target": already exists',
    );
    expect(await caller.list()).toEqual(['sha256:target']);
  });

  it('records what a snapshotter found ready as committed, without an event, for children to stand on', async () => {
    const caller = new Caller(service);
    const labels = { 'containerd.io/snapshot.ref': 'sha256:found' };
    const found = await caller.prepare('sha256:found', '', { labels, kind: Kind.COMMITTED });
    expect(found).toMatchObject({ name: 'sha256:found', kind: Kind.COMMITTED, labels });
    expect(caller.events).toEqual([]);
    expect((await caller.prepare('child', 'sha256:found')).ancestorGenerations).toEqual([found.generation]);
    expect(await refusal(caller.prepare('again', '', { labels }))).toMatch(/^AlreadyExists: target snapshot/);
  });

  it('lets one of many that want the same key have it', async () => {
    const caller = new Caller(service);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => refusal(caller.prepare('same'))));
    expect(outcomes.filter((outcome) => outcome === 'no error')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(
      new Set(['no error', 'AlreadyExists: snapshot "same": already exists']),
    );
  });

  it('keeps scopes and snapshotters apart', async () => {
    const [one, other] = [new Caller(service), new Caller(service)];
    await one.prepare('key');
    await other.prepare('key');
    await service.catalogue.prepare(
      { snapshotter: 'native', key: 'key', kind: Kind.ACTIVE, generation: 'n1' },
      one.options,
    );
    expect(await one.list()).toEqual(['key']);
  });

  it('wants a node, a namespace and a snapshotter', async () => {
    const request = { snapshotter, key: 'k', kind: Kind.ACTIVE, generation: 'g' };
    const { prepare } = service.catalogue;
    const namespace = { [Header.Namespace]: 'default' };
    expect(await refusal(prepare(request, { headers: namespace }))).toBe(
      'InvalidArgument: header longshore-node is required: invalid argument',
    );
    expect(await refusal(prepare(request, { headers: { [Header.Node]: 'n' } }))).toMatch(
      /^FailedPrecondition/,
    );
    expect(await refusal(prepare({ ...request, snapshotter: '' }, { headers: namespace }))).toBe(
      'InvalidArgument: snapshotter argument missing: invalid argument',
    );
  });
});

describe('CatalogueService.Commit', () => {
  it('renames the record, keeps its generation and replaces its labels', async () => {
    const caller = new Caller(service);
    const active = await caller.prepare('key', '', { labels: { old: 'x' } });
    const committed = await caller.commit('name', 'key', { labels: { fresh: 'y' } });
    expect(committed).toMatchObject({
      uid: active.uid,
      generation: active.generation,
      name: 'name',
      kind: Kind.COMMITTED,
      labels: { fresh: 'y' },
      size: 4096n,
      inodes: 3n,
    });
    expect(committed.revision).toBeGreaterThan(active.revision);
    expect(await refusal(caller.get('key'))).toBe('NotFound: snapshot key does not exist: not found');
    expect(caller.events.at(-1)).toEqual(['/snapshot/commit', { key: 'key', name: 'name', snapshotter }]);
  });

  it('refuses in the words of containerd', async () => {
    const caller = new Caller(service);
    await caller.layer('base');
    await caller.prepare('view', 'base', { kind: Kind.VIEW });
    await caller.prepare('active');
    expect(await refusal(caller.commit('base', 'active'))).toBe(
      'AlreadyExists: snapshot "base": already exists',
    );
    expect(await refusal(caller.commit('new', 'nothing'))).toBe(
      'NotFound: snapshot nothing does not exist: not found',
    );
    for (const key of ['view', 'base']) {
      expect(await refusal(caller.commit('new', key))).toBe(
        `FailedPrecondition: failed to commit snapshot ${key}: snapshot "${key}" is not active: failed precondition`,
      );
    }
    expect(await caller.list()).toEqual(['active', 'base', 'view']);
  });

  it('gives a parent to a snapshot that has none, and ignores another one otherwise', async () => {
    const caller = new Caller(service);
    const base = await caller.layer('base');
    await caller.layer('other');
    await caller.prepare('orphan');
    const rebased = await caller.commit('rebased', 'orphan', { parent: 'base' });
    expect(rebased).toMatchObject({ parent: 'base', ancestorGenerations: [base.generation] });
    expect(await refusal(caller.remove('base'))).toMatch(/^FailedPrecondition/);

    await caller.prepare('child', 'base');
    expect((await caller.commit('kept', 'child', { parent: 'other' })).parent).toBe('base');
    await caller.prepare('lost');
    expect(await refusal(caller.commit('x', 'lost', { parent: 'nowhere' }))).toBe(
      'NotFound: parent snapshot nowhere does not exist: not found',
    );
    await caller.prepare('active');
    expect(await refusal(caller.commit('x', 'lost', { parent: 'active' }))).toMatch(/^FailedPrecondition/);
  });
});

describe('CatalogueService.Remove', () => {
  it('leaves a tombstone, reports the event and asks for a collection', async () => {
    const caller = new Caller(service);
    const prepared = await caller.prepare('key');
    const removed = await caller.remove('key');
    expect(removed.generation).toBe(prepared.generation);
    expect(removed.revision).toBeGreaterThan(prepared.revision);
    expect(await caller.tombstones()).toEqual([prepared.generation]);
    expect(caller.events.at(-1)).toEqual(['/snapshot/remove', { key: 'key', snapshotter }]);
    await expect
      .poll(() => service.content.collections)
      .toContain(`${caller.scope.namespace} ${caller.scope.node}`);
    const again = await caller.prepare('key');
    expect(again.revision).toBeGreaterThan(removed.revision);
  });

  it('refuses a parent and what is not there', async () => {
    const caller = new Caller(service);
    await caller.layer('base');
    await caller.prepare('child', 'base');
    expect(await refusal(caller.remove('base'))).toBe(
      'FailedPrecondition: cannot remove snapshot with child: failed precondition',
    );
    expect(await refusal(caller.remove('nothing'))).toBe(
      'NotFound: snapshot nothing does not exist: not found',
    );
    expect(await caller.tombstones()).toHaveLength(0);
    await caller.remove('child');
    await caller.remove('base');
    expect(await caller.tombstones()).toHaveLength(2);
  });

  it('never leaves a child without its parent when both come at once', async () => {
    const caller = new Caller(service);
    for (let round = 0; round < 10; round++) {
      await caller.layer('base');
      const [prepared, removed] = await Promise.all([
        refusal(caller.prepare('child', 'base')),
        refusal(caller.remove('base')),
      ]);
      const names = await caller.list();
      if (prepared === 'no error') {
        expect(removed).toMatch(/^FailedPrecondition/);
        expect(names).toEqual(['base', 'child']);
        await caller.remove('child');
        await caller.remove('base');
      } else {
        expect(prepared).toMatch(/^NotFound: parent snapshot base/);
        expect(names).toEqual([]);
      }
    }
  });
});
