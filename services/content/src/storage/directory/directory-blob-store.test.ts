import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeBlobStore } from '../blob-store.suite.ts';
import { DirectoryBlobStore } from './directory-blob-store.ts';

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
    const { path } = store.locate(name);
    const hex = digest.slice('sha256:'.length);
    expect(path.endsWith(`/blobs/sha256/${hex.slice(0, 2)}/${hex}/${name.generation}`)).toBe(true);
    expect(await readFile(path, 'utf8')).toBe('here');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});
