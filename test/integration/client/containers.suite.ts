import { type Client, withExtension, withImageName, withLabels, withRuntime } from '@longshore/client';
import { withHostname } from '@longshore/oci/runtime-spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshId, openClient, type Server, scripted } from './server.ts';

export function containersSuite(serverOf: () => Server): void {
  describe('containers', () => {
    let server: Server;
    let client: Client;
    beforeAll(() => {
      server = serverOf();
      client = openClient(server);
    });
    afterAll(() => client?.close());

    it('are made from an image, found by filter, changed, and removed with their snapshot', async () => {
      const id = freshId();
      const made = await client.newContainer(
        id,
        ...(await scripted(server, client, id, 'true', withHostname('h'))),
      );
      const info = await made.info();
      expect(info).toMatchObject({
        id,
        image: server.imageName,
        labels: { suite: 'client' },
        runtime: { name: 'io.containerd.runc.v2' },
        snapshotter: 'overlayfs',
        snapshotKey: id,
      });
      expect(info.createdAt?.getTime()).toBeGreaterThan(Date.now() - 60_000);
      expect(await made.spec()).toMatchObject({
        hostname: 'h',
        process: { args: ['sh', '-c', 'true'], cwd: '/', user: { uid: 0, gid: 0 } },
      });
      const labels = await made.setLabels({ tier: 'back', suite: '' });
      expect(labels.tier).toBe('back');
      expect(labels.suite).toBeUndefined();
      const changed = await made.update(
        withImageName('renamed'),
        withLabels({ tier: 'back', rack: '7' }),
        withExtension('acme', { typeUrl: 'acme.Thing', value: Buffer.from('bytes') }),
      );
      expect(changed).toMatchObject({
        image: 'renamed',
        labels: { tier: 'back', rack: '7' },
        snapshotKey: id,
      });
      expect(Buffer.from(changed.extensions.acme!.value).toString()).toBe('bytes');
      await expect(made.update(withRuntime('io.containerd.other.v1'))).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
      const found = await Array.fromAsync(client.containers({ filter: `labels.tier==back,id==${id}` }));
      expect(found.map((each) => each.id)).toEqual([id]);
      expect(await Array.fromAsync(client.containers({ filter: `id==${id},labels.tier==front` }))).toEqual(
        [],
      );
      expect((await client.container(id)).id).toBe(id);
      await made.delete({ snapshot: true });
      await expect(client.container(id)).rejects.toMatchObject({ kind: 'NotFound' });
      await expect(client.snapshots().stat(id)).rejects.toMatchObject({ kind: 'NotFound' });
      await expect(made.delete()).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('refuse an id that is taken, a name that is none, and an image that is not there', async () => {
      const id = freshId();
      const options = await scripted(server, client, id, 'true');
      await using _ = await client.newContainer(id, ...options);
      await expect(client.newContainer(id, ...options.slice(2))).rejects.toMatchObject({
        kind: 'AlreadyExists',
      });
      await expect(client.newContainer('no/slash', ...options.slice(2))).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
      await expect(client.images.get('nothing')).rejects.toMatchObject({ kind: 'NotFound' });
      expect((await client.leases.list()).length).toBe(0);
    });

    it('end what a caller no longer waits for', async () => {
      const signal = AbortSignal.abort();
      await expect(client.newContainer(freshId(), { signal })).rejects.toMatchObject({ kind: 'Canceled' });
      await expect(Array.fromAsync(client.containers({ signal }))).rejects.toMatchObject({
        kind: 'Canceled',
      });
    });
  });
}
