import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { listPartHeaders } from '@longshore/kit';
import { digestOf, encodedOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentFixture, callOf } from '../testing/content-fixture.ts';

let fixture: ContentFixture;

beforeAll(async () => {
  fixture = await ContentFixture.start();
});

afterAll(() => fixture.close());

async function resourcesOf(id: string): Promise<string[]> {
  const { resources } = await fixture.leases.listResources({ id }, callOf());
  return resources.map((resource) => `${resource.type} ${resource.id}`);
}

describe('Leases', () => {
  it('are created with the id given, or one made up, in their scope only', async () => {
    const { lease } = await fixture.leases.create(
      { id: 'any id/will do', labels: { a: '1', b: '' } },
      callOf(),
    );
    expect(lease).toMatchObject({ id: 'any id/will do', labels: { a: '1' }, createdAt: expect.anything() });
    const { lease: random } = await fixture.leases.create({}, callOf());
    expect(random?.id).toMatch(/^\d{1,9}-[A-Za-z0-9_-]{4}$/);
    await expect(fixture.leases.create({ id: 'any id/will do' }, callOf())).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: 'lease "any id/will do": already exists',
    });
    await fixture.leases.create({ id: 'any id/will do' }, callOf({ node: 'n1' }));
    await fixture.leases.create({ id: 'any id/will do' }, callOf({ namespace: 'other' }));
  });

  it('may have labels of any length, as containerd has it', async () => {
    const labels = { k: 'v'.repeat(5000) };
    const { lease } = await fixture.leases.create({ id: 'labelled', labels }, callOf());
    expect(lease?.labels).toEqual(labels);
  });

  it('are listed in order, and filtered', async () => {
    const caller = { namespace: 'listed' };
    for (const id of ['b', 'B', 'a']) await fixture.leases.create({ id, labels: { is: id } }, callOf(caller));
    const list = async (...filters: string[]) => {
      const { leases } = await fixture.leases.list({ filters }, callOf(caller));
      return leases.map(({ id }) => id);
    };
    expect(await list()).toEqual(['B', 'a', 'b']);
    expect(await list('id==a', 'labels.is==b')).toEqual(['a', 'b']);
    await expect(list('id=')).rejects.toMatchObject({ kind: 'InvalidArgument' });
    const { headers } = callOf(caller);
    const part = { ...headers, ...listPartHeaders({ from: 'C', limit: 1 }) };
    expect((await fixture.leases.list({}, { headers: part })).leases.map(({ id }) => id)).toEqual(['a']);
  });

  it('keep resources of all types, added and removed any number of times', async () => {
    const id = 'keeper';
    await fixture.leases.create({ id }, callOf());
    const digest = digestOf('kept');
    const resources = [
      { type: 'content', id: digest },
      { type: 'images', id: 'docker.io/library/x:1' },
      { type: 'ingests', id: 'layer-x' },
      { type: 'snapshots/overlayfs', id: 'extract-1 sha256:abc/def' },
    ];
    for (const resource of [...resources, ...resources]) {
      await fixture.leases.addResource({ id, resource }, callOf());
    }
    expect(await resourcesOf(id)).toEqual(resources.map((resource) => `${resource.type} ${resource.id}`));
    for (const [removed, resource] of resources.entries()) {
      await fixture.leases.deleteResource({ id, resource }, callOf());
      await fixture.leases.deleteResource({ id, resource }, callOf());
      const left = resources.slice(removed + 1);
      expect(await resourcesOf(id)).toEqual(left.map((kept) => `${kept.type} ${kept.id}`));
    }
  });

  it.each([
    ['content', 'nonsense', 'InvalidArgument'],
    ['content/x', digestOf('x'), 'InvalidArgument'],
    ['images/x', 'x', 'InvalidArgument'],
    ['snapshots', 'x', 'InvalidArgument'],
    ['snapshots/a/b', 'x', 'InvalidArgument'],
    ['images', '', 'InvalidArgument'],
    ['sandboxes', 'x', 'Unimplemented'],
  ])('refuse a resource of type %j named %j: %s', async (type, resourceId, kind) => {
    await fixture.leases.create({ id: 'picky' }, callOf()).catch(() => undefined);
    const resource = { type, id: resourceId };
    await expect(fixture.leases.addResource({ id: 'picky', resource }, callOf())).rejects.toMatchObject({
      kind,
    });
  });

  it('answer NotFound for an unknown lease', async () => {
    const resource = { type: 'images', id: 'x' };
    const unknown = { kind: 'NotFound', message: 'lease "unknown": not found' };
    await expect(fixture.leases.delete({ id: 'unknown' }, callOf())).rejects.toMatchObject(unknown);
    await expect(fixture.leases.addResource({ id: 'unknown', resource }, callOf())).rejects.toMatchObject(
      unknown,
    );
    await expect(fixture.leases.deleteResource({ id: 'unknown', resource }, callOf())).rejects.toMatchObject(
      unknown,
    );
    await expect(fixture.leases.listResources({ id: 'unknown' }, callOf())).rejects.toMatchObject(unknown);
  });

  it('take an ingest when it is opened, and its content when it is committed or held already', async () => {
    const lease = 'writer';
    await fixture.leases.create({ id: lease }, callOf());
    await using session = fixture.write({ lease });
    await session.send({ ref: 'leased', action: WriteAction.WRITE, data: Buffer.from('leased') });
    expect(await resourcesOf(lease)).toEqual(['ingests leased']);
    await session.send({ action: WriteAction.COMMIT, offset: 6n });
    const digest = digestOf('leased');
    expect(await resourcesOf(lease)).toEqual([`content ${digest}`]);

    await fixture.leases.create({ id: 'second' }, callOf());
    const open = fixture.write({ lease: 'second' }).send({ ref: 'again', expected: digest });
    await expect(open).rejects.toMatchObject({ kind: 'AlreadyExists' });
    expect(await resourcesOf('second')).toEqual([`content ${digest}`]);

    await fixture.leases.create({ id: 'third' }, callOf());
    await using blind = fixture.write({ lease: 'third' });
    const commit = blind.send({ ref: 'blind', action: WriteAction.COMMIT, data: Buffer.from('leased') });
    await expect(commit).rejects.toMatchObject({ kind: 'AlreadyExists' });
    expect(await resourcesOf('third')).toEqual([`content ${digest}`]);

    await fixture.leases.create({ id: 'fourth' }, callOf());
    const late = fixture.write({ lease: 'fourth' });
    await late.send({ ref: 'late' });
    await expect(late.send({ action: WriteAction.WRITE, expected: digest })).rejects.toMatchObject({
      kind: 'AlreadyExists',
    });
    expect(await resourcesOf('fourth')).toEqual([`content ${digest}`]);

    await fixture.content.delete({ digest }, callOf({ lease: 'third' }));
    expect(await resourcesOf('third')).toEqual([]);
    expect(await resourcesOf('second')).toEqual([`content ${digest}`]);
  });

  it('let go of an ingest that is aborted', async () => {
    const lease = 'aborter';
    await fixture.leases.create({ id: lease }, callOf());
    await using session = fixture.write({ lease });
    await session.send({ ref: 'to abort' });
    await fixture.content.abort({ ref: 'to abort' }, callOf({ lease }));
    expect(await resourcesOf(lease)).toEqual([]);
  });

  it('let content be committed for as long as they are there, expired or not', async () => {
    const caller = { namespace: 'expiring', node: 'n1', lease: 'late' };
    const labels = { 'containerd.io/gc.expire': new Date(Date.now() - 1000).toISOString() };
    await fixture.leases.create({ id: 'late', labels }, callOf({ ...caller, lease: '' }));
    await using first = fixture.write(caller);
    await first.send({ ref: 'first', action: WriteAction.WRITE, data: Buffer.from('in time') });
    await first.send({ action: WriteAction.COMMIT, offset: 7n });

    await using second = fixture.write(caller);
    await second.send({ ref: 'second', action: WriteAction.WRITE, data: Buffer.from('too late') });
    await fixture.collector.collect({ wait: true }, callOf(caller));
    const commit = second.send({ action: WriteAction.COMMIT, offset: 8n });
    await expect(commit).rejects.toMatchObject({ kind: expect.stringMatching(/NotFound|Unavailable/) });
    // With the lease went what it kept: the content, the ingest, and all their bytes.
    const statuses = await fixture.content.listStatuses({}, callOf(caller));
    expect(statuses.statuses).toEqual([]);
    const gone = { digest: digestOf('in time') };
    await expect(fixture.content.info(gone, callOf(caller))).rejects.toMatchObject({ kind: 'NotFound' });
    const late = await readdir(join(fixture.directory, 'content', 'blobs'), { recursive: true });
    expect(late.filter((path) => path.includes(encodedOf(digestOf('too late'))))).toEqual([]);
  });
});
