import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFault } from '../../domain/blob-fault.ts';
import type { BlobStore } from '../../domain/blob-store.ts';
import { describeBlobStore } from '../blob-store.suite.ts';
import { DirectoryBlobStore } from './directory-blob-store.ts';
import { FileBlobReader } from './file-blob-reader.ts';

const INGEST = '0b0e7ed1-0000-4000-8000-000000000000';
const OTHER_INGEST = '0b0e7ed1-0000-4000-8000-000000000001';

let root: string;
let stores = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'longshore-blobs-'));
});

afterAll(() => rm(root, { recursive: true }));

function make(): DirectoryBlobStore {
  return new DirectoryBlobStore(join(root, String(stores++)));
}

describeBlobStore('directory', async () => make());

describe('DirectoryBlobStore', () => {
  it('locates a blob at a file that only its owner may read', async () => {
    const store = make();
    const writer = await store.openWriter('0b0e7ed1-0000-4000-8000-000000000000', 1n, 0, () => undefined);
    await writer.write(Buffer.from('here'));
    const digest = digestOf('here');
    const name = { digest, generation: '0b0e7ed1-0000-4000-8000-000000000000' };
    await writer.publish(name);
    const place = await store.locate(name);
    const path = place.kind === 'file' ? place.path : '';
    const hex = digest.slice('sha256:'.length);
    expect(path.endsWith(`/blobs/sha256/${hex.slice(0, 2)}/${hex}/${name.generation}`)).toBe(true);
    expect(await readFile(path, 'utf8')).toBe('here');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('loses nothing that was durable when a writer is killed as it takes over', async () => {
    const path = join(root, String(stores++));
    const store = new DirectoryBlobStore(path);
    const first = await store.openWriter(INGEST, 1n, 0, () => undefined);
    await first.write(Buffer.from('durable'));
    await first.close();
    await writeFile(join(path, 'ingests', INGEST, '2'), 'dur');
    const next = await store.openWriter(INGEST, 3n, 7, () => undefined);
    expect(next.sizeBytes).toBe(7);
    expect(await readdir(join(path, 'ingests', INGEST))).toEqual(['3']);
    await next.close();
  });

  it('tells bytes that the disk has lost from a file system that is away', async () => {
    // What is at its start cannot be read, which the kernel says as disks do.
    await using reader = await FileBlobReader.open('/proc/self/mem');
    await expect(reader.read(0, 10)).rejects.toMatchObject({ kind: 'DataLoss' });
    const sized = {
      sizeBytes: 10,
      read: (position: number, lengthBytes: number) => reader.read(position, lengthBytes),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const store = { open: async () => sized } as unknown as BlobStore;
    const blob = { digest: digestOf('here'), generation: INGEST, sizeBytes: 10 };
    expect(await findFault(store, blob, async () => undefined)).toMatch('bytes at 0 cannot be read');
  });

  it('is unavailable, and writes nothing elsewhere, while its directory is away; heals when it is back', async () => {
    const path = join(root, String(stores++));
    const store = new DirectoryBlobStore(path);
    const writer = await store.openWriter(INGEST, 1n, 0, () => undefined);
    await writer.write(Buffer.from('here'));
    const name = { digest: digestOf('here'), generation: INGEST };
    await rename(path, `${path}.away`);
    await mkdir(path);
    const away = expect.objectContaining({ kind: 'Unavailable', message: expect.stringContaining(path) });
    await expect(store.openWriter(OTHER_INGEST, 1n, 0, () => undefined)).rejects.toEqual(away);
    await expect(store.open(name)).rejects.toEqual(away);
    await expect(store.removeBlob(name)).rejects.toEqual(away);
    await expect(writer.publish(name)).rejects.toEqual(away);
    expect(await readdir(path)).toEqual([]);
    await rm(path, { recursive: true });
    await rename(`${path}.away`, path);
    await (await store.openWriter(INGEST, 2n, 4, () => undefined)).publish(name);
    await using reader = await store.open(name);
    expect(reader.sizeBytes).toBe(4);
  });
});
