import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { Client } from '@longshore/client';
import { digestOf, MediaType } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const NAMESPACE = 'content';

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
}

/** Blobs, snapshots and leases by themselves, at the server of a socket; `compares`: it makes layers of snapshots. */
export function contentSuite(addressOf: () => string, compares: boolean): void {
  describe('content, snapshots and leases', () => {
    let client: Client;
    beforeAll(() => {
      client = new Client(addressOf(), { namespace: NAMESPACE });
    });
    afterAll(() => client?.close());

    it('write blobs, read them in part, label them, and keep them for as long as a lease does', async () => {
      const lease = await client.leases.create({ labels: { of: 'a test' }, expiresInMs: 60_000 });
      const { content } = client.in({ lease: lease.id });
      const bytes = randomBytes(5_000_000);
      const digest = digestOf(bytes);
      const written = { digest, sizeBytes: bytes.length };
      expect(await content.write(inPieces(bytes), { ref: 'first' })).toEqual(written);
      const again = { ref: 'again', expected: digest, sizeBytes: bytes.length };
      expect(await content.write(inPieces(bytes), again)).toEqual(written);
      const part = content.read(digest, { offsetBytes: 2_000_000, sizeBytes: 5 });
      expect(await buffer(part)).toEqual(bytes.subarray(2_000_000, 2_000_005));
      await expect(buffer(content.read(digest, { offsetBytes: 6_000_000 }))).rejects.toMatchObject({
        kind: 'OutOfRange',
      });
      const other = content.write(inPieces(bytes), { ref: 'other', expected: digestOf('other') });
      await expect(other).rejects.toMatchObject({ kind: 'FailedPrecondition' });
      expect(await content.statuses()).toEqual([]);

      expect((await content.label(digest, { a: 'b', c: 'd' })).labels).toEqual({ a: 'b', c: 'd' });
      expect((await content.label(digest, { c: '' })).labels).toEqual({ a: 'b' });
      const listed = await Array.fromAsync(content.list(['labels.a==b']));
      expect(listed).toMatchObject([{ digest, sizeBytes: bytes.length }]);
      expect(await client.leases.list()).toMatchObject([{ id: lease.id, labels: { of: 'a test' } }]);
      expect(await client.leases.resources(lease.id)).toContainEqual({ type: 'content', id: digest });
      await client.leases.delete(lease.id, { sync: true });
      await expect(content.info(digest)).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('let a writer go on where another one stopped, until it is aborted', async () => {
      const { content } = client;
      const writer = await content.writer({ ref: 'slow', sizeBytes: 10 });
      await writer.write(Buffer.from('12345'));
      await writer.close();
      expect(await content.status('slow')).toMatchObject({ ref: 'slow', offsetBytes: 5, totalBytes: 10 });
      const second = await content.writer({ ref: 'slow', sizeBytes: 10 });
      expect(second.offsetBytes).toBe(5);
      await expect(second.commit({ digest: digestOf('1234567890') })).rejects.toMatchObject({
        kind: 'FailedPrecondition',
      });
      await second.close();
      await content.abort('slow');
      await expect(content.status('slow')).rejects.toMatchObject({ kind: 'NotFound' });
    });

    it('stack snapshots', async () => {
      const lease = await client.leases.create({ expiresInMs: 60_000 });
      const snapshots = client.in({ lease: lease.id }).snapshots();
      expect(await snapshots.prepare({ key: 'writing', labels: { a: 'b' } })).toMatchObject([
        { type: 'bind' },
      ]);
      await snapshots.commit('base', 'writing', { c: 'd' });
      expect(await snapshots.stat('base')).toMatchObject({ kind: 'committed', labels: { c: 'd' } });
      expect(await snapshots.view({ key: 'looking', parent: 'base' })).toHaveLength(1);
      expect(await snapshots.mounts('looking')).toHaveLength(1);
      expect(await snapshots.usage('base')).toMatchObject({ inodes: expect.any(Number) });
      const names = (await Array.fromAsync(snapshots.list())).map(({ name, parent }) => [name, parent]);
      expect(names.sort()).toEqual([
        ['base', ''],
        ['looking', 'base'],
      ]);
      await expect(snapshots.remove('base')).rejects.toMatchObject({ kind: 'FailedPrecondition' });
      for (const key of ['looking', 'base']) await snapshots.remove(key);
      await client.leases.delete(lease.id);
    });

    it.runIf(compares)('make layers of snapshots, and snapshots of layers', async () => {
      const lease = await client.leases.create({ expiresInMs: 60_000 });
      const leased = client.in({ lease: lease.id });
      const snapshots = leased.snapshots();
      const [base] = await snapshots.prepare({ key: 'alone' });
      writeFileSync(join(base!.source, 'hello'), 'hello\n');
      const layer = await leased.diff.snapshot('alone');
      expect(layer.mediaType).toBe(MediaType.OciLayerGzip);
      const bytes = gunzipSync(await buffer(client.content.read(layer.digest)));
      const [target] = await snapshots.prepare({ key: 'applied' });
      expect(await leased.diff.apply(layer, [target!])).toMatchObject({ digest: digestOf(bytes) });
      expect(readFileSync(join(target!.source, 'hello'), 'utf8')).toBe('hello\n');
      await snapshots.commit('below', 'alone');
      await snapshots.prepare({ key: 'over', parent: 'below' });
      const nothing = await leased.diff.snapshot('over', { mediaType: MediaType.OciLayer });
      expect((await buffer(client.content.read(nothing.digest))).every((byte) => byte === 0)).toBe(true);
      const left = await Array.fromAsync(snapshots.list());
      expect(left.map(({ name }) => name).sort()).toEqual(['applied', 'below', 'over']);
      await expect(leased.diff.snapshot('no-such-one')).rejects.toMatchObject({ kind: 'NotFound' });
      for (const key of ['over', 'below', 'applied']) await snapshots.remove(key);
      await client.leases.delete(lease.id);
    });
  });
}
