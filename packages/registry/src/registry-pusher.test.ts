import { randomBytes } from 'node:crypto';
import { type Digest, digestOf, MediaType, parseReference } from '@longshore/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RegistryPusher } from './registry-pusher.ts';
import { RegistryTransport } from './registry-transport.ts';
import { FakeRegistry } from './testing/index.ts';

const BYTES = randomBytes(3_000_000);
const BLOB = { digest: digestOf(BYTES), size: BYTES.length };

async function fixture(credentials?: { username: string; password: string }) {
  const registry = await FakeRegistry.start();
  if (credentials) registry.auth = { kind: 'bearer', ...credentials };
  const transport = new RegistryTransport();
  onTestFinished(() => transport.close());
  const access = credentials
    ? { credentials: async () => ({ kind: 'password', ...credentials }) as const }
    : {};
  const pusher = new RegistryPusher(transport, registry.host, access);
  const reference = parseReference(`${registry.host}/a/b:1`);
  const opened: number[] = [];
  async function* open(offsetBytes: number) {
    opened.push(offsetBytes);
    for (let at = offsetBytes; at < BYTES.length; at += 100_000) yield BYTES.subarray(at, at + 100_000);
  }
  const upload = (more = {}) => pusher.upload(reference, { descriptor: BLOB, open, ...more });
  const methods = () => registry.requests.map(({ method }) => method);
  return { registry, pusher, reference, upload, opened, methods };
}

describe('RegistryPusher.upload', () => {
  it('sends a blob in one request, and nothing that is there', async () => {
    const { registry, upload, methods } = await fixture();
    const offsets: number[] = [];
    expect(await upload({ onOffset: (bytes: number) => offsets.push(bytes) })).toBe('uploaded');
    expect(methods()).toEqual(['HEAD', 'POST', 'PUT']);
    expect(registry.blobs.get(BLOB.digest)).toEqual(BYTES);
    expect(offsets.at(-1)).toBe(BYTES.length);
    expect(await upload()).toBe('exists');
  });

  it('goes on in chunks, where the registry says that the last one ended, when connections are cut', async () => {
    const { registry, upload, opened, methods } = await fixture();
    registry.fail(`/v2/a/b/blobs/uploads/1?digest=${encodeURIComponent(BLOB.digest)}`, {
      cutAfterBytes: 500_000,
    });
    registry.fail('/v2/a/b/blobs/uploads/2', { cutAfterBytes: 1_200_000 });
    expect(await upload()).toBe('uploaded');
    expect(registry.blobs.get(BLOB.digest)).toEqual(BYTES);
    expect(opened).toEqual([0, 0, 1_200_000]);
    expect(methods()).toEqual(['HEAD', 'POST', 'PUT', 'DELETE', 'POST', 'PATCH', 'GET', 'PATCH', 'PUT']);
  });

  it('sends chunks to a registry that takes no blob of this size at once', async () => {
    const { registry, upload } = await fixture();
    registry.fail(`/v2/a/b/blobs/uploads/1?digest=${encodeURIComponent(BLOB.digest)}`, { status: 413 });
    expect(await upload()).toBe('uploaded');
    expect(registry.blobs.get(BLOB.digest)).toEqual(BYTES);
  });

  it('throws what the source of the bytes does, and leaves no upload', async () => {
    const { registry, upload } = await fixture();
    async function* open() {
      yield BYTES.subarray(0, 10);
      throw new Error('disk is on fire');
    }
    await expect(upload({ open })).rejects.toThrow('disk is on fire');
    expect(registry.uploads.sessions.size).toBe(0);
    expect(registry.blobs.size).toBe(0);
  });

  it('leaves no upload when it is given up', async () => {
    const { registry, upload } = await fixture();
    const aborted = new AbortController();
    const onOffset = () => aborted.abort(new Error('enough'));
    await expect(upload({ onOffset, signal: aborted.signal })).rejects.toThrow();
    expect(registry.uploads.sessions.size).toBe(0);
    expect(registry.blobs.size).toBe(0);
  });

  it('mounts what one of the named repositories has', async () => {
    const { registry, upload, methods } = await fixture();
    const other = digestOf('other') as Digest;
    registry.blobs.set(other, Buffer.from('other'));
    const path = `/v2/a/b/blobs/${other}`;
    registry.fail(path, { status: 404 });
    const descriptor = { digest: other, size: 5 };
    expect(await upload({ descriptor, mountFrom: ['a/b', 'c/d'] })).toBe('mounted');
    expect(methods()).toEqual(['HEAD', 'POST']);
    expect(registry.requests.at(-1)!.path).toContain('from=c%2Fd');
  });

  it('asks for the right to push, and to read where it mounts from', async () => {
    const { registry, upload, methods } = await fixture({ username: 'me', password: 'secret' });
    await upload({ mountFrom: ['c/d'] });
    const scopes = registry.requests
      .filter(({ path }) => path.startsWith('/token'))
      .map(({ path }) => new URL(path, 'http://x').searchParams.getAll('scope'));
    expect(scopes[0]).toEqual(['repository:a/b:pull,push']);
    expect(scopes).toContainEqual(['repository:a/b:pull,push', 'repository:c/d:pull']);
    expect(methods().at(-1)).toBe('PUT');
  });
});

describe('RegistryPusher.putManifest', () => {
  it('puts a manifest under its tag, in its own words', async () => {
    const { registry, pusher, reference } = await fixture();
    const bytes = Buffer.from('{"schemaVersion":2}');
    const descriptor = { mediaType: MediaType.OciManifest, digest: digestOf(bytes), size: bytes.length };
    await pusher.putManifest(reference, descriptor, bytes);
    expect(registry.manifests.get('a/b:1')).toEqual({ mediaType: MediaType.OciManifest, bytes });
    registry.fail('/v2/a/b/manifests/1', { status: 403, body: '{"errors":[{"message":"read only"}]}' });
    await expect(pusher.putManifest(reference, descriptor, bytes)).rejects.toMatchObject({
      kind: 'PermissionDenied',
      message: expect.stringContaining('read only'),
    });
  });
});
