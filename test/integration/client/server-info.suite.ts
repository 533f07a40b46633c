import type { Client } from '@longshore/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClient, type Server } from './server.ts';

export function serverInfoSuite(serverOf: () => Server): void {
  describe('the server', () => {
    let client: Client;
    beforeAll(() => {
      client = openClient(serverOf());
    });
    afterAll(() => client?.close());

    it('says who it is and what it has', async () => {
      expect((await client.version()).version).not.toBe('');
      expect((await client.server()).uuid).toMatch(/^[0-9a-f-]{36}$/);
      const plugins = await client.plugins(['type==io.containerd.snapshotter.v1']);
      expect(plugins.map(({ id }) => id)).toContain('overlayfs');
    });

    it('has namespaces, with labels, which go when they are empty', async () => {
      const { namespaces } = client;
      await namespaces.create('aside', { one: '1' });
      await expect(namespaces.create('aside')).rejects.toMatchObject({ kind: 'AlreadyExists' });
      await namespaces.setLabels('aside', { two: '2', one: '' });
      expect(await namespaces.labels('aside')).toMatchObject({ two: '2' });
      expect((await namespaces.list()).map(({ name }) => name)).toContain('aside');
      await namespaces.delete('aside');
      expect((await namespaces.list()).map(({ name }) => name)).not.toContain('aside');
      await expect(namespaces.delete('aside')).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('keeps what is made under a lease, and lets go of it', async () => {
      const key = await client.withLease(async (leased) => {
        await leased.snapshots().prepare({ key: 'leased' });
        expect(await client.leases.resources(leased.lease!)).toEqual([
          { type: 'snapshots/overlayfs', id: 'leased' },
        ]);
        return leased.lease;
      });
      expect((await client.leases.list()).map(({ id }) => id)).not.toContain(key);
      await client
        .snapshots()
        .remove('leased')
        .catch(() => undefined);
    });

    it('is not waited for longer than its caller says', async () => {
      const hasty = openClient(serverOf(), { timeoutMs: 0 });
      await expect(hasty.version()).rejects.toMatchObject({ kind: 'DeadlineExceeded' });
      hasty.close();
      using nobody = openClient({ ...serverOf(), address: '/run/no-such.sock' });
      await expect(nobody.version()).rejects.toMatchObject({ kind: 'Unavailable' });
    });
  });
}
