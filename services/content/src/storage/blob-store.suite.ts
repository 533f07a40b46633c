import { randomUUID } from 'node:crypto';
import { isKind } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import type { BlobName, BlobStore, PartWriter, StoredBytes } from '../domain/blob-store.ts';

/** What every driver must do. `make` gives an empty store; its remains are the caller's to remove. */
export function describeBlobStore(driver: string, make: () => Promise<BlobStore>): void {
  const ignore = () => undefined;

  async function publish(store: BlobStore, text: string, ingest: string = randomUUID()): Promise<BlobName> {
    const writer = await store.openWriter(ingest, 1n, 0, ignore);
    await writer.write(Buffer.from(text));
    const name = { digest: digestOf(text), generation: ingest };
    await writer.publish(name);
    return name;
  }

  async function readAll(store: BlobStore, name: BlobName): Promise<string> {
    await using reader = await store.open(name);
    return Buffer.from(await reader.read(0, 1024)).toString();
  }

  async function listAll(store: BlobStore): Promise<StoredBytes[]> {
    return Array.fromAsync(store.list());
  }

  /** A writer that goes without closing, as when its process is killed. */
  async function abandon(writer: PartWriter, text: string): Promise<void> {
    await writer.write(Buffer.from(text));
    await writer.flush();
  }

  describe(`${driver} blob store`, () => {
    it('gives back what was published, in whole and in part', async () => {
      const store = await make();
      const name = await publish(store, 'hello world');
      await using reader = await store.open(name);
      expect(await readAll(store, name)).toBe('hello world');
      expect(Buffer.from(await reader.read(6, 3)).toString()).toBe('wor');
      expect(Buffer.from(await reader.read(6, 100)).toString()).toBe('world');
      expect((await reader.read(11, 1)).byteLength).toBe(0);
    });

    it('publishes nothing as nothing', async () => {
      const store = await make();
      expect(await readAll(store, await publish(store, ''))).toBe('');
    });

    it('keeps generations of one digest apart', async () => {
      const store = await make();
      const [first, second] = [await publish(store, 'same'), await publish(store, 'same')];
      await store.removeBlob(first);
      await expect(store.open(first)).rejects.toSatisfy((error) => isKind(error, 'NotFound'));
      expect(await readAll(store, second)).toBe('same');
      await store.removeBlob(first);
    });

    it('lets the next writer go on behind what was kept', async () => {
      const store = await make();
      const ingest = randomUUID();
      await using first = await store.openWriter(ingest, 1n, 0, ignore);
      await first.write(Buffer.from('hello '));
      await first.close();
      const kept: Uint8Array[] = [];
      await using second = await store.openWriter(ingest, 2n, 6, (chunk) => kept.push(chunk));
      expect(second.sizeBytes).toBe(6);
      expect(Buffer.concat(kept).toString()).toBe('hello ');
      await second.write(Buffer.from('world'));
      const name = { digest: digestOf('hello world'), generation: ingest };
      await second.publish(name);
      expect(await readAll(store, name)).toBe('hello world');
    });

    it('keeps no more than asked, and no more than there is', async () => {
      const store = await make();
      const ingest = randomUUID();
      await using first = await store.openWriter(ingest, 1n, 0, ignore);
      await abandon(first, 'abcdef');
      await using second = await store.openWriter(ingest, 2n, 4, ignore);
      expect(second.sizeBytes).toBe(4);
      await using third = await store.openWriter(ingest, 3n, 100, ignore);
      expect(third.sizeBytes).toBe(4);
      await using fourth = await store.openWriter(ingest, 4n, 0, ignore);
      expect(fourth.sizeBytes).toBe(0);
    });

    it('does not mix in what a stale writer appends', async () => {
      const store = await make();
      const ingest = randomUUID();
      await using stale = await store.openWriter(ingest, 1n, 0, ignore);
      await abandon(stale, 'abc');
      await using fresh = await store.openWriter(ingest, 2n, 3, ignore);
      await stale.write(Buffer.from('STALE'));
      await fresh.write(Buffer.from('def'));
      const name = { digest: digestOf('abcdef'), generation: ingest };
      await fresh.publish(name);
      expect(await readAll(store, name)).toBe('abcdef');
    });

    it('forgets what was truncated', async () => {
      const store = await make();
      const ingest = randomUUID();
      await using writer = await store.openWriter(ingest, 1n, 0, ignore);
      await writer.write(Buffer.from('a longer text'));
      await writer.truncate();
      expect(writer.sizeBytes).toBe(0);
      await writer.write(Buffer.from('short'));
      const name = { digest: digestOf('short'), generation: ingest };
      await writer.publish(name);
      expect(await readAll(store, name)).toBe('short');
    });

    it('flushes beside writes and says how much is durable', async () => {
      const store = await make();
      await using writer = await store.openWriter(randomUUID(), 1n, 0, ignore);
      const chunk = Buffer.alloc(256 * 1024, 7);
      const flushed: Promise<number>[] = [];
      for (let n = 0; n < 8; n++) {
        const write = writer.write(chunk);
        flushed.push(writer.flush());
        await write;
      }
      for (const durable of await Promise.all(flushed)) expect(durable).toBeLessThanOrEqual(writer.sizeBytes);
      expect(await writer.flush()).toBe(8 * chunk.byteLength);
    });

    it('lists blobs and ingests, until they are removed', async () => {
      const store = await make();
      const before = Date.now() - 1000;
      const name = await publish(store, 'listed');
      const ingest = randomUUID();
      await using writer = await store.openWriter(ingest, 1n, 0, ignore);
      await writer.close();
      const listed = await listAll(store);
      expect(new Set(listed.map(({ generation }) => generation))).toEqual(new Set([name.generation, ingest]));
      expect(listed.find(({ digest }) => digest === name.digest)?.generation).toBe(name.generation);
      for (const { changedAt } of listed) expect(changedAt.getTime()).toBeGreaterThan(before);
      await store.removeBlob(name);
      await store.removeIngest(name.generation);
      await store.removeIngest(ingest);
      await store.removeIngest(ingest);
      expect(await listAll(store)).toEqual([]);
    });

    it('publishes beside removals of the same digest', async () => {
      const store = await make();
      for (let round = 0; round < 20; round++) {
        const old = await publish(store, 'contended');
        const [name] = await Promise.all([publish(store, 'contended'), store.removeBlob(old)]);
        expect(await readAll(store, name)).toBe('contended');
        await store.removeBlob(name);
      }
    });
  });
}
