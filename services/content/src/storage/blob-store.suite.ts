import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { isKind } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import type { BlobName, BlobStore, PartWriter, StoredBytes } from '../domain/blob-store.ts';

const MIB = 1024 * 1024;
/** A store behind a network, on a machine that is busy. */
const LARGE_TIMEOUT_MS = 60_000;
/** No divisor of anything. */
const CHUNK_BYTES = 700_001;

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

  async function writeAll(writer: PartWriter, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES)
      await writer.write(bytes.subarray(at, at + CHUNK_BYTES));
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
      await abandon(second, 'XY');
      const kept: Uint8Array[] = [];
      await using third = await store.openWriter(ingest, 3n, 100, (chunk) => kept.push(chunk));
      expect(third.sizeBytes).toBe(6);
      expect(Buffer.concat(kept).toString()).toBe('abcdXY');
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

    it('holds large blobs, and reads them from anywhere', { timeout: LARGE_TIMEOUT_MS }, async () => {
      const store = await make();
      const bytes = randomBytes(21 * MIB + 5);
      const writer = await store.openWriter(randomUUID(), 1n, 0, ignore);
      await writeAll(writer, bytes);
      const name = { digest: digestOf(bytes), generation: randomUUID() };
      await writer.publish(name);
      await using reader = await store.open(name);
      expect(reader.sizeBytes).toBe(bytes.byteLength);
      const [front, middle, back] = await Promise.all([
        reader.read(0, MIB),
        reader.read(8 * MIB - 3, 6),
        reader.read(bytes.byteLength - 5, 100),
      ]);
      expect(Buffer.concat([front, middle, back])).toEqual(
        Buffer.concat([bytes.subarray(0, MIB), bytes.subarray(8 * MIB - 3, 8 * MIB + 3), bytes.subarray(-5)]),
      );
      const pieces = [];
      for (let at = 0; at < bytes.byteLength; at += 3 * MIB) pieces.push(await reader.read(at, 3 * MIB));
      expect(digestOf(Buffer.concat(pieces))).toBe(name.digest);
    });

    it('goes on at any place of a large ingest, again and again', { timeout: LARGE_TIMEOUT_MS }, async () => {
      const store = await make();
      const ingest = randomUUID();
      const bytes = randomBytes(36 * MIB);
      const writers: PartWriter[] = [];
      const digest = createHash('sha256');
      // Each writer is lost after it has received more than was recorded of it, and still writes when the next one does.
      const keeps = [0, 3 * MIB, 13 * MIB + 1, 16 * MIB, 16 * MIB, 30 * MIB];
      for (const [index, keepBytes] of keeps.entries()) {
        const seen = createHash('sha256');
        const writer = await store.openWriter(ingest, BigInt(index + 1), keepBytes, (chunk) =>
          seen.update(chunk),
        );
        expect(writer.sizeBytes).toBe(keepBytes);
        expect(seen.digest('hex')).toBe(
          createHash('sha256').update(bytes.subarray(0, keepBytes)).digest('hex'),
        );
        const next = keeps[index + 1];
        if (next === undefined) {
          await writeAll(writer, bytes.subarray(keepBytes));
          break;
        }
        await writeAll(writer, bytes.subarray(keepBytes, next));
        await writer.flush();
        writers.push(writer);
        for (const stale of writers) await writeAll(stale, randomBytes(MIB / 2));
        await Promise.all(writers.map((stale) => stale.flush()));
      }
      const last = await store.openWriter(ingest, 99n, 30 * MIB, (chunk) => digest.update(chunk));
      await writeAll(last, bytes.subarray(30 * MIB));
      digest.update(bytes.subarray(30 * MIB));
      const name = { digest: digestOf(bytes), generation: ingest };
      expect(`sha256:${digest.digest('hex')}`).toBe(name.digest);
      await last.publish(name);
      await using reader = await store.open(name);
      expect(digestOf(await reader.read(0, bytes.byteLength))).toBe(name.digest);
      await Promise.all(writers.map((writer) => writer.close().catch(ignore)));
      await store.removeIngest(ingest);
      await store.removeBlob(name);
      expect(await listAll(store)).toEqual([]);
    });

    it('lists blobs and ingests, until they are removed', async () => {
      const store = await make();
      const before = Date.now() - 1000;
      const name = await publish(store, 'listed');
      const ingest = randomUUID();
      await using writer = await store.openWriter(ingest, 1n, 0, ignore);
      await writer.write(Buffer.from('on its way'));
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
