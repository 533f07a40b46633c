import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { digestOf, parseReference } from '@longshore/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RegistryClient } from './registry-client.ts';
import type { RegistryAccess } from './registry-session.ts';
import { RegistryTransport } from './registry-transport.ts';
import { FakeRegistry } from './testing/fake-registry.ts';

const MANIFEST = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/x-manifest' }));
const BLOB = randomBytes(200_000);
const blob = { mediaType: 'application/x-layer', digest: digestOf(BLOB), size: BLOB.length };
const blobPath = `/v2/a/b/blobs/${blob.digest}`;
const tagPath = '/v2/a/b/manifests/1';
const alice = { username: 'alice', password: 'secret' };
const asAlice: RegistryAccess = { credentials: async () => ({ kind: 'password', ...alice }) };

async function start(access: RegistryAccess = {}) {
  const registry = await FakeRegistry.start();
  registry.blobs.set(blob.digest, BLOB);
  registry.manifests.set('a/b:1', { mediaType: 'application/x-manifest', bytes: MANIFEST });
  const retry = { initialDelayMs: 1, maxDelayMs: 2, attempts: 4 };
  const transport = new RegistryTransport({ retry, silenceMs: 1_000 });
  onTestFinished(() => transport.close());
  const client = new RegistryClient(transport, registry.host, access);
  const reference = parseReference(`${registry.host}/a/b:1`);
  const read = () => buffer(client.blob(reference, blob));
  return { registry, client, reference, read };
}

describe('RegistryClient', () => {
  it('resolves a tag and gets what it stands for', async () => {
    const { client, reference } = await start();
    const expected = {
      mediaType: 'application/x-manifest',
      digest: digestOf(MANIFEST),
      size: MANIFEST.length,
    };
    expect(await client.resolve(reference)).toEqual(expected);
    expect(await client.manifest(reference)).toEqual({ descriptor: expected, bytes: MANIFEST });
  });

  it('refuses a manifest with another digest than asked for', async () => {
    const { client, registry, reference } = await start();
    const digest = digestOf('another');
    registry.manifests.set(digest, { mediaType: '', bytes: MANIFEST });
    const wrong = client.manifest({ ...reference, digest });
    await expect(wrong).rejects.toMatchObject({ kind: 'DataLoss' });
  });

  it('tells what the registry said', async () => {
    const { client, registry, reference } = await start();
    await expect(client.manifest({ ...reference, tag: '2' })).rejects.toMatchObject({
      kind: 'NotFound',
      message: `image "${registry.host}/a/b:1": registry answered 404 manifest unknown: not found`,
    });
    registry.fail(tagPath, { status: 403, body: 'go away' });
    await expect(client.manifest(reference)).rejects.toMatchObject({
      kind: 'PermissionDenied',
      message: expect.stringContaining('go away'),
    });
  });

  it('tries again what is refused for now, and waits as long as asked', async () => {
    const { client, registry, reference } = await start();
    registry.fail(tagPath, { status: 503 }, { status: 429, headers: { 'retry-after': '1' } });
    const begin = performance.now();
    await client.manifest(reference);
    expect(performance.now() - begin).toBeGreaterThan(950);
    registry.fail(tagPath, ...Array(4).fill({ status: 429, body: '{"errors":[{"message":"too many"}]}' }));
    await expect(client.manifest(reference)).rejects.toMatchObject({
      kind: 'ResourceExhausted',
      message: expect.stringContaining('too many'),
    });
  });

  it('asks again for a manifest whose connection was cut', async () => {
    const { client, registry, reference } = await start();
    registry.fail(tagPath, { cutAfterBytes: 5 });
    expect((await client.manifest(reference)).bytes).toEqual(MANIFEST);
    registry.fail(tagPath, ...Array(3).fill({ cutAfterBytes: 5 }));
    await expect(client.manifest(reference)).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('says that a registry is away', async () => {
    const { client, registry, reference } = await start();
    registry.fail(tagPath, ...Array(4).fill({ status: 500 }));
    await expect(client.manifest(reference)).rejects.toMatchObject({ kind: 'Unavailable' });
    const nobody = new RegistryClient(
      new RegistryTransport({ retry: { initialDelayMs: 1, maxDelayMs: 1, attempts: 2 } }),
      '127.0.0.1:1',
    );
    await expect(nobody.manifest(reference)).rejects.toMatchObject({ kind: 'Unavailable' });
  });
});

describe('RegistryClient.blob', () => {
  it('goes on where a connection was cut, with every byte verified', async () => {
    const { registry, read } = await start();
    registry.fail(blobPath, { cutAfterBytes: 70_000 }, { cutAfterBytes: 50_000 });
    expect((await read()).equals(BLOB)).toBe(true);
    const ranges = registry.requests.map(({ range }) => range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);
    expect(ranges.length).toBe(3);
  });

  it('goes on after a server that has fallen silent', async () => {
    const { registry, read } = await start();
    registry.fail(blobPath, { stallAfterBytes: 70_000 });
    expect((await read()).equals(BLOB)).toBe(true);
  });

  it('takes a server that knows no ranges from the start again', async () => {
    const { registry, read } = await start();
    registry.fail(blobPath, { cutAfterBytes: 70_000 }, { status: 200, body: BLOB });
    expect((await read()).equals(BLOB)).toBe(true);
  });

  it('gives up when nothing comes any more', async () => {
    const { registry, read } = await start();
    registry.fail(blobPath, ...Array(5).fill({ cutAfterBytes: 0 }));
    await expect(read()).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it.each([
    ['other bytes', Buffer.from(BLOB).reverse()],
    ['more bytes', Buffer.concat([BLOB, Buffer.from('x')])],
  ])('refuses %s before the last chunk is out', async (_, body) => {
    const { registry, client, reference } = await start();
    registry.fail(blobPath, { body });
    let seenBytes = 0;
    const reading = (async () => {
      for await (const chunk of client.blob(reference, blob)) seenBytes += chunk.length;
    })();
    await expect(reading).rejects.toMatchObject({ kind: 'DataLoss' });
    expect(seenBytes).toBeLessThan(BLOB.length);
  });

  it('begins where asked', async () => {
    const { client, reference } = await start();
    const rest = await buffer(client.blob(reference, blob, { offsetBytes: 150_000 }));
    expect(rest.equals(BLOB.subarray(150_000))).toBe(true);
  });

  it('ends at once when it is given up', async () => {
    const { client, registry, reference } = await start();
    registry.fail(blobPath, { stallAfterBytes: 10 });
    const giveUp = new AbortController();
    const reading = buffer(client.blob(reference, blob, { signal: giveUp.signal }));
    setImmediate(() => giveUp.abort());
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('authentication', () => {
  it.each(['basic', 'bearer'] as const)('proves the caller by %s, and asks once', async (kind) => {
    let asked = 0;
    const access: RegistryAccess = {
      credentials: async () => {
        asked += 1;
        return { kind: 'password', ...alice };
      },
    };
    const { client, registry, reference, read } = await start(access);
    registry.auth = { kind, ...alice };
    await client.manifest(reference);
    await read();
    expect(asked).toBe(1);
    expect(registry.requests.filter(({ path }) => path.startsWith('/token')).length).toBe(
      kind === 'basic' ? 0 : 1,
    );
    // Only the first request went without: what was learnt is kept.
    const bare = registry.requests.filter(
      ({ path, authorization }) => path.startsWith('/v2') && !authorization,
    );
    expect(bare.length).toBe(1);
  });

  it.each(['basic', 'bearer'] as const)('says that %s credentials are wrong or missing', async (kind) => {
    const { client, registry, reference } = await start();
    registry.auth = { kind, ...alice };
    await expect(client.manifest(reference)).rejects.toMatchObject({ kind: 'Unauthenticated' });
    const wrong: RegistryAccess = {
      credentials: async () => ({ kind: 'password', username: 'alice', password: 'wrong' }),
    };
    const other = await start(wrong);
    other.registry.auth = { kind, ...alice };
    await expect(other.client.manifest(other.reference)).rejects.toMatchObject({ kind: 'Unauthenticated' });
  });

  it('sends nothing of it to a host that the registry redirects to', async () => {
    const { registry, read } = await start(asAlice);
    const storage = await FakeRegistry.start();
    storage.blobs.set(blob.digest, BLOB);
    registry.auth = { kind: 'basic', ...alice };
    const location = `http://${storage.host}${blobPath}`;
    registry.fail(blobPath, { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
    registry.fail(blobPath, { status: 307, headers: { location } });
    expect((await read()).equals(BLOB)).toBe(true);
    expect(registry.requests.at(-1)?.authorization).toMatch(/^Basic /);
    expect(storage.requests).toMatchObject([{ authorization: undefined }]);
  });
});
