import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectionViews } from '../storage/postgres/collection-views.ts';
import { NamespaceRepository } from '../storage/postgres/namespace-repository.ts';
import { ContentFixture, callOf } from '../testing/content-fixture.ts';

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

/** Namespaces calls need no namespace header. */
const on = (node: string) => callOf({ namespace: '', node });

async function list(node: string): Promise<string[]> {
  const { namespaces } = await fixture.namespaces.list({}, on(node));
  return namespaces.map(({ name }) => name);
}

async function labelsOf(name: string, node: string): Promise<Record<string, string> | undefined> {
  const { namespace } = await fixture.namespaces.get({ name }, on(node));
  return namespace?.labels;
}

async function topics(name: string): Promise<string[]> {
  const { rows } = await fixture.pool.query('SELECT topic FROM outbox WHERE subject = $1 ORDER BY seq', [
    name,
  ]);
  return rows.map(({ topic }) => topic);
}

describe('Namespaces', () => {
  it('are created once, on one node', async () => {
    const namespace = { name: 'blue', labels: { a: '1', b: '' } };
    const created = await fixture.namespaces.create({ namespace }, on('n1'));
    expect(created.namespace).toMatchObject({ name: 'blue', labels: { a: '1' } });
    expect(await list('n1')).toEqual(['blue']);
    expect(await list('n2')).toEqual([]);
    expect(await topics('blue')).toEqual(['/namespaces/create']);
    await expect(fixture.namespaces.create({ namespace }, on('n1'))).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: 'namespace "blue": already exists',
    });
  });

  it('must have a name that is an identifier, and short labels', async () => {
    const long = { k: 'v'.repeat(4096) };
    for (const namespace of [
      { name: '' },
      { name: 'a b' },
      { name: 'a'.repeat(77) },
      { name: 'x', labels: long },
    ]) {
      await expect(fixture.namespaces.create({ namespace }, on('n1'))).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
    }
    const update = { namespace: { name: 'x', labels: long }, updateMask: { paths: ['labels.k'] } };
    await expect(fixture.namespaces.update(update, on('n1'))).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    await expect(
      fixture.namespaces.update({ namespace: { name: 'a b', labels: { k: 'v' } } }, on('n1')),
    ).rejects.toMatchObject({ kind: 'InvalidArgument' });
    // A refused one is not made.
    expect(await list('n1')).not.toContain('x');
    const longest = { name: 'a'.repeat(76), labels: { k: 'v'.repeat(4095) } };
    await fixture.namespaces.create({ namespace: longest }, on('n5'));
  });

  it('have no labels when they do not exist', async () => {
    expect(await labelsOf('nowhere', 'n1')).toEqual({});
  });

  it('exist from the first write on, without an event', async () => {
    await fixture.leases.create({ id: 'x' }, callOf({ namespace: 'implicit', node: 'n3' }));
    await fixture.put('x', {}, { namespace: 'by-content', node: 'n3' });
    await fixture.pool.query(
      "INSERT INTO runtime.containers (namespace, node, id) VALUES ('by-container', 'n3', 'c')",
    );
    expect(await list('n3')).toEqual(['by-container', 'by-content', 'implicit']);
    expect(await topics('implicit')).toEqual([]);
    for (const name of ['implicit', 'by-container']) {
      await expect(fixture.namespaces.create({ namespace: { name } }, on('n3'))).rejects.toMatchObject({
        kind: 'AlreadyExists',
      });
    }
  });

  it('are labelled by mask or as a whole, which makes them', async () => {
    const update = (labels: Record<string, string>, paths: string[]) =>
      fixture.namespaces.update({ namespace: { name: 'green', labels }, updateMask: { paths } }, on('n1'));
    expect((await update({ a: '1', b: '2' }, [])).namespace).toBeUndefined();
    expect(await labelsOf('green', 'n1')).toEqual({ a: '1', b: '2' });
    await update({ b: '', 'c.d': '3', e: 'ignored' }, ['labels.b', 'labels.c.d']);
    expect(await labelsOf('green', 'n1')).toEqual({ a: '1', 'c.d': '3' });
    await update({}, []);
    expect(await labelsOf('green', 'n1')).toEqual({});
    for (const path of ['labels', 'name']) {
      await expect(update({}, [path])).rejects.toMatchObject({
        kind: 'InvalidArgument',
        message: `cannot update "${path}" field: invalid argument`,
      });
    }
    expect(await topics('green')).toEqual(['/namespaces/update', '/namespaces/update', '/namespaces/update']);
  });

  it('are deleted only when nothing but leases, ingests and sandboxes is left', async () => {
    const caller = { namespace: 'red', node: 'n4' };
    const digest = await fixture.put('x', {}, caller);
    await fixture.leases.create({ id: 'l' }, callOf(caller));
    await using ingest = fixture.write(caller);
    await ingest.send({ ref: 'open' });
    await fixture.pool.query(`
      INSERT INTO image.images (namespace, node, name, target_digest) VALUES ('red', 'n4', 'i', '');
      INSERT INTO snapshot.snapshots (namespace, node, name) VALUES ('red', 'n4', 's');
      INSERT INTO runtime.containers (namespace, node, id) VALUES ('red', 'n4', 'c');
      INSERT INTO runtime.sandboxes (namespace, node, id) VALUES ('red', 'n4', 'pod')`);
    await expect(fixture.namespaces.delete({ name: 'red' }, on('n4'))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message:
        'namespace "red" must be empty, but it still has images, blobs, containers, ' +
        'snapshots on "overlayfs" snapshotter: failed precondition',
    });
    await fixture.content.delete({ digest }, callOf(caller));
    await fixture.pool.query('DELETE FROM image.images; DELETE FROM snapshot.snapshots');
    await fixture.pool.query("DELETE FROM runtime.containers WHERE namespace = 'red'");
    await fixture.namespaces.delete({ name: 'red' }, on('n4'));
    expect(await list('n4')).toEqual([]);
    expect(await topics('red')).toEqual(['/namespaces/delete']);
    expect((await fixture.leases.list({}, callOf(caller))).leases).toEqual([]);
    await expect(fixture.namespaces.delete({ name: 'red' }, on('n4'))).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'namespace "red": not found',
    });
  });

  it('are deleted with sandboxes of which nobody else knew, those of other scopes stay', async () => {
    await fixture.pool.query(
      "INSERT INTO runtime.sandboxes (namespace, node, id) VALUES ('pods', 'n6', 'a'), ('pods', 'n7', 'a')",
    );
    expect(await list('n6')).toEqual(['pods']);
    await fixture.namespaces.delete({ name: 'pods' }, on('n6'));
    expect(await list('n6')).toEqual([]);
    expect(await list('n7')).toEqual(['pods']);
    expect(await topics('pods')).toEqual(['/namespaces/delete']);
    await expect(fixture.namespaces.delete({ name: 'pods' }, on('n6'))).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('are not deleted while a service does not say what it has in them', async () => {
    const scope = { namespace: 'unsure', node: 'n6' };
    await fixture.namespaces.create({ namespace: { name: scope.namespace } }, on(scope.node));
    const views = new CollectionViews(['content', 'elsewhere']);
    const attempt = new NamespaceRepository(fixture.pool, views).delete(
      scope,
      () => undefined,
      () => expect.unreachable(),
    );
    await expect(attempt).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(await list('n6')).toEqual(['unsure']);
  });
});
